"""comparison.html: what was found in words, every patient on a line per folder, and the table of all pairs."""

from __future__ import annotations

from pathlib import Path

from zeusseg.files import write_text
from zeusseg.report.compare import LOWER_IS_BETTER, Comparison
from zeusseg.report.page import load_template
from zeusseg.report.strip import Dot, strip_plot


def write_comparison_page(comparison: Comparison, path: Path) -> None:
    """Write the page of a comparison. It needs no network and names nothing of a patient but the ids."""
    strips = []
    for name, target, metric, found in comparison.means():
        # Lines of dots run from 0 to 1, so only shares are drawn; distances and volumes stand in the table.
        if not metric.startswith(LOWER_IS_BETTER):
            values = comparison.patients[name, target, metric]
            dots = [Dot(value, f"{patient}: {metric} {value:.3f}") for patient, value in values.items()]
            strips.append((target, metric, name, strip_plot(dots, found.mean, found.low, found.high), found))
    content = load_template("comparison.html").render(
        comparison=comparison,
        strips=strips,
        tables=[("Over the masks that both have", comparison.pairs)]
        + ([("With failed masks as misses", comparison.with_failures)] if comparison.with_failures else []),
        failures=[(name, failure) for name, found in comparison.evaluations.items() for failure in found.failures],
    )
    write_text(path, content)
