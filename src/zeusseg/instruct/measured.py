"""The writer `measured`: each image is measured alone and stated in words. No language model, no download."""

from __future__ import annotations

from collections.abc import Mapping

from zeusseg.case import Case, Target
from zeusseg.instruct.finding import Finding, LocalWriter, refuse_labels
from zeusseg.instruct.measure import measure
from zeusseg.instruct.phrases import state
from zeusseg.instruct.signals import signal_of

LONGEST_TEXT_WORDS = 120


class MeasuredWriter(LocalWriter):
    """Measurement and templates: the same images always give the same words."""

    name = "measured"
    model = ""
    prompt_version = "1"

    def findings(self, case: Case) -> dict[str, Finding]:
        """Measure every modality of a case by itself. Raises `ValueError` for a case that carries labels."""
        refuse_labels(case)
        findings: dict[str, Finding] = {}
        for modality, volume in case.images.items():
            attributes = measure(volume, modality=modality, spacing_known=case.spacing_known)
            findings[modality] = Finding(modality, state(attributes, modality), attributes)
        return findings

    def unite(self, case_id: str, findings: Mapping[str, Finding], target: Target) -> str:
        """Name, definition, then each modality's finding; details are left out where the text would grow too long."""
        task = f"Segment the {target.name}."
        if target.definition:
            task = f"Segment the {target.name}: {target.definition.rstrip('. ')}."
        text = task
        for areas in (3, 2, 1):
            seen = " ".join(_sentence(finding, areas) for finding in findings.values())
            text = f"{task} {seen}".strip()
            if len(text.split()) <= LONGEST_TEXT_WORDS:
                break
        return text


def _sentence(finding: Finding, areas: int) -> str:
    words = finding.text if finding.attributes is None else state(finding.attributes, finding.modality, areas)
    return f"{signal_of(finding.modality).name}: {words}"
