"""Relation extraction."""

from lms_ray.data.examples import Relation
from lms_ray.tasks.pairs import Pairs


class RelationExtraction(Pairs):
    """Does a relation hold from one entity to another, and which?"""

    name = "re"
    example = Relation
