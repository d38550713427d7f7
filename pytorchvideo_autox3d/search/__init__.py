"""The PARSEC search: a policy over architectures, its estimator, the loop, and what is derived from it."""

from pytorchvideo_autox3d.search.average import WeightAverage
from pytorchvideo_autox3d.search.budget import Budget, BudgetCheck, Budgets
from pytorchvideo_autox3d.search.darts import DartsSearch
from pytorchvideo_autox3d.search.decided import decision_report
from pytorchvideo_autox3d.search.derivation import SearchResult, derive, pareto, pareto_table
from pytorchvideo_autox3d.search.evolution import Evolution
from pytorchvideo_autox3d.search.halves import split_halves
from pytorchvideo_autox3d.search.inherited import inherited_score, recalibrated
from pytorchvideo_autox3d.search.ledger import Ledger
from pytorchvideo_autox3d.search.loop import cost_table, search
from pytorchvideo_autox3d.search.methods import Cost, MethodRun, Problem, Trial, find_method, run_method
from pytorchvideo_autox3d.search.model import AutoX3DSearchNet, create_autox3d_search
from pytorchvideo_autox3d.search.parsec import importance_weights
from pytorchvideo_autox3d.search.policy import Policy
from pytorchvideo_autox3d.search.result import policy_tables, read_history, read_result, write_pareto, write_result
from pytorchvideo_autox3d.search.settings import SearchSettings
from pytorchvideo_autox3d.search.step import OneShotSearch, ParsecSearch
from pytorchvideo_autox3d.search.supernet_step import SearchBatch, SupernetSearch
from pytorchvideo_autox3d.search.zero_cost import SCORES

__all__ = [
    "SCORES",
    "AutoX3DSearchNet",
    "Budget",
    "BudgetCheck",
    "Budgets",
    "Cost",
    "DartsSearch",
    "Evolution",
    "Ledger",
    "MethodRun",
    "OneShotSearch",
    "ParsecSearch",
    "Policy",
    "Problem",
    "SearchBatch",
    "SearchResult",
    "SearchSettings",
    "SupernetSearch",
    "Trial",
    "WeightAverage",
    "cost_table",
    "create_autox3d_search",
    "decision_report",
    "derive",
    "find_method",
    "importance_weights",
    "inherited_score",
    "pareto",
    "pareto_table",
    "policy_tables",
    "read_history",
    "read_result",
    "recalibrated",
    "run_method",
    "search",
    "split_halves",
    "write_pareto",
    "write_result",
]
