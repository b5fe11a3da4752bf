"""The door from Python: experiments as tables, and the ranker on arrays. `lms_ray` gives its names lazily."""
