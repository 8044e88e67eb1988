"""How texts of radiology say bright, dark, where, how large, and that nothing is there, as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})", re.IGNORECASE)


_SIGNAL = r"(?:\w+ )?(?:signal|intensity|density|attenuation|echogenicity)\b"
_BRIGHT = rf"hyper(?:intens|dens|attenuat|echo)\w*|bright\w*|(?:high(?:er)?|increased|elevated) {_SIGNAL}"
_DARK = rf"hypo(?:intens|dens|attenuat|echo)\w*|anechoic\b|dark\w*|(?:low(?:er)?|decreased|reduced) {_SIGNAL}"
_ENHANCING = r"enhanc\w+"
_ANYTHING = (
    r"(?:lesions?|abnormalit(?:y|ies)|mass(?:es)?(?! effect)|tumou?rs?|areas?|regions?|foc(?:us|i)|signal changes?|"
    r"(?:contrast )?enhancement|hyperintensit(?:y|ies)|hypointensit(?:y|ies))\b"
)
# One kind of finding may be absent where another stands out: these are found, but never missed.
_NOUN = rf"(?:{_ANYTHING}|(?:nodules?|cysts?|o?edema|infarcts?|ha?emorrhages?)\b)"
_QUALIFIER = (
    rf"(?:{_BRIGHT}|{_DARK}|{_ENHANCING}|focal|definite|clear|obvious|visible|apparent|suspicious|abnormal|discrete|"
    r"significant|evident|large|small|space-occupying|signal|contrast|pathologic(?:al)?|left|right|sided|or|and)"
)

BRIGHT = _words(_BRIGHT)
DARK = _words(_DARK)
# Bright in images after contrast; in others the word says nothing of what is seen.
ENHANCING = _words(_ENHANCING)
NOUN = _words(_NOUN)
NOTHING = _words(
    rf"(?:no|without|free of|absence of|any|nor) (?:{_QUALIFIER}[ ,-]+)*{_ANYTHING}",
    rf"{_ANYTHING} (?:is|are|was|were) (?:not|no longer) (?:visible|seen|present|identified|evident|detected|apparent)",
    r"nothing (?:\w+ )?(?:stands? out|abnormal|suspicious|conspicuous|is seen|is visible)",
    r"(?:is|are|appears?|looks?) (?:entirely |otherwise )?(?:unremarkable|normal)\b",
)
NEGATION = re.compile(
    r"\b(?:no|not|without|none|nothing|neither|nor|never|absent|absence|free of|cannot|unremarkable|normal)\b|n't\b",
    re.IGNORECASE,
)
MORE = _words(r"(?:else|elsewhere|other|further|additional|second)\b")
# Parts of the body that are bright or dark, and on a side, by nature.
ANATOMY = _words(
    r"csf\b|cerebrospinal|ventric(?:les?|ular system)\b|skull|calvari\w+|white matter|gr[ea]y matter|cortex|fat\b",
    r"bones?\b|background|sulci|cisterns?|air\b|myocardium",
)
# Where a sentence falls into clauses; the word of contrast or negation begins the next one.
SPLIT = re.compile(
    r"(?<=[.!?;])\s+|,?\s+(?=(?:but|while|whereas|although|however|without|with no|and no)\b)|,\s*(?=(?:not|no|nor)\b)",
    re.IGNORECASE,
)
# The left and right ventricle and atrium are names, not places.
SIDES: Mapping[str, re.Pattern[str]] = {
    "both": _words(r"bilateral\w*", r"both (?:sides|hemispheres)\b", r"(?:left and right|right and left)\b"),
    "midline": _words(
        r"(?:in|on|at|along|near) the midline\b", r"centrally\b",
        r"in the (?:centre|center|middle) of the (?:image|picture|body|brain)\b",
    ),
    "left": _words(r"left\b(?! (?:ventric|atri))"),
    "right": _words(r"right\b(?! (?:ventric|atri|next|above|below|behind))"),
}  # fmt: skip
ANTERIOR_POSTERIOR: Mapping[str, re.Pattern[str]] = {
    "anterior": _words(r"antero\w*", r"anterior\w*", r"frontal\b", r"ventral\b"),
    "posterior": _words(r"postero\w*", r"posterior\w*", r"occipital\b", r"dorsal\b"),
}
SUPERIOR_INFERIOR: Mapping[str, re.Pattern[str]] = {
    "superior": _words(r"superior\w*", r"upper\b", r"cranial\b", r"apical\b"),
    "inferior": _words(
        r"inferior\w*", r"lower (?!signal|intensity|density|attenuation|echo|than)", r"caudal\b", r"basal\b"
    ),
}
NUMBER = r"\d+(?:[.,]\d+)?"
# A distance to something, and the thickness of slices, are no sizes.
SIZE = re.compile(
    rf"({NUMBER}(?:\s*(?:mm|cm)?\s*(?:x|\u00d7|by|to|-|\u2013)\s*{NUMBER})*)\s*(mm|cm|millimet\w+|centimet\w+)\b"
    r"(?!\s*(?:from|above|below|behind|away|off|lateral|medial|anterior|posterior|(?:thick )?slices?))",
    re.IGNORECASE,
)
SHARE = re.compile(
    rf"({NUMBER})\s*(?:%|percent|per cent) of (?:the|this) (?:picture|image|body part|brain)", re.IGNORECASE
)
EXTENTS: Mapping[str, re.Pattern[str]] = {
    "small": _words(r"(?:small|tiny|little|punctate|minute)\b"),
    "large": _words(r"(?:large|huge|extensive|big|massive)\b"),
}
ALIKE = _words(
    r"(?:left and right|the (?:two )?sides|both sides) (?:are|look|appear) alike\b", r"symmetric(?:al|ally)?\b"
)
