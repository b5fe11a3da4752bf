"""Argument role labelling of events."""

from lms_ray.data.examples import Argument
from lms_ray.tasks.pairs import Pairs


class ArgumentRoles(Pairs):
    """Is an entity an argument of an event's trigger, and in which role?"""

    name = "arl"
    example = Argument
