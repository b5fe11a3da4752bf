"""The paper's tables and Figure 2 from finished experiments, with the paper's own numbers beside ours."""
