"""Scores and the page that shows them: `evaluate` writes scores.csv, summary.json and report.html."""

from zeusseg.report.evaluate import Evaluation, evaluate
from zeusseg.report.scoring import Score
from zeusseg.report.summary import TargetSummary

__all__ = ["Evaluation", "Score", "TargetSummary", "evaluate"]
