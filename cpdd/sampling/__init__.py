"""Dynamic sampling for programs: a sampler whose policies may change while the program runs."""

from cpdd.sampling.document import Document, parse_document, read_document
from cpdd.sampling.fields import PolicyError
from cpdd.sampling.sampler import Ceilings, DynamicSampler

__all__ = ["Ceilings", "Document", "DynamicSampler", "PolicyError", "parse_document", "read_document"]
