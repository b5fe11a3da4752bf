"""The science of the pick: ranker, selectors, significance. No Ray."""
