"""What a person sees: tables, figures, the HTML page, the plan, lines of progress."""
