"""`python -m lms_ray` is `lms-ray`."""

from lms_ray.cli import main

main()
