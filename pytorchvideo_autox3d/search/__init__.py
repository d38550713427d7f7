"""The PARSEC search: a policy over architectures, its estimator, the loop, and what is derived from it."""

from pytorchvideo_autox3d.search.budget import Budget, Budgets, Verdict
from pytorchvideo_autox3d.search.derivation import (
    Derived,
    derive,
    inherited_score,
    pareto,
    pareto_table,
    recalibrated,
)
from pytorchvideo_autox3d.search.loop import cost_table, search, split_halves
from pytorchvideo_autox3d.search.model import AutoX3DSearchNet, create_autox3d_search
from pytorchvideo_autox3d.search.parsec import importance_weights
from pytorchvideo_autox3d.search.policy import ParsecHead, Policy
from pytorchvideo_autox3d.search.result import policy_tables, read_history, read_result, write_pareto, write_result
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.search.step import ParsecSearch, SearchBatch

__all__ = [
    "AutoX3DSearchNet",
    "Budget",
    "Budgets",
    "Derived",
    "ParsecHead",
    "ParsecSearch",
    "Policy",
    "SearchBatch",
    "SearchSettings",
    "Verdict",
    "cost_table",
    "create_autox3d_search",
    "derive",
    "importance_weights",
    "inherited_score",
    "pareto",
    "pareto_table",
    "policy_tables",
    "read_history",
    "read_result",
    "recalibrated",
    "search",
    "split_halves",
    "write_pareto",
    "write_result",
]
