"""How texts of radiology say bright, dark, where, how large, and that nothing is there, as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})", re.IGNORECASE)


_SIGNAL = r"(?:\w+ )?(?:signal|intensity|density|attenuation|echogenicity)\b"
_BRIGHT = (
    r"(?<!less )(?:hyper(?:intens|dens|attenuat|echo)\w*|bright(?:er)?\b|"
    rf"(?:high(?:er)?|increased|elevated) {_SIGNAL})"
)
_DARK = (
    r"(?<!less )(?:hypo(?:intens|dens|attenuat|echo)\w*|anechoic\b|dark(?:er)?\b|"
    rf"(?:low(?:er)?|decreased|reduced) {_SIGNAL})"
)
_ENHANCING = r"(?<!non-)(?<!non )enhanc\w+"
_ANYTHING = (
    r"(?:lesions?|abnormalit(?:y|ies)|mass(?:es)?(?! effect)|tumou?rs?|areas?|regions?|foc(?:us|i)|signal changes?|"
    r"(?:contrast )?enhancement|hyperintensit(?:y|ies)|hypointensit(?:y|ies))\b"
)
_NOUN = rf"(?:{_ANYTHING}|(?:nodules?|cysts?|o?edema|infarcts?|ha?emorrhages?)\b)"
_QUALIFIER = (
    rf"(?:{_BRIGHT}|{_DARK}|{_ENHANCING}|focal|definite|clear|obvious|visible|apparent|suspicious|abnormal|discrete|"
    r"significant|evident|space-occupying|signal|contrast|pathologic(?:al)?|left|right|sided|any|"
    r"(?:evidence|signs?) of|or|and)"
)

BRIGHT, DARK = _words(_BRIGHT), _words(_DARK)
# Bright in images after contrast; in others the word says nothing of what is seen.
ENHANCING = _words(_ENHANCING)
NOUN = _words(_NOUN)

# One kind of finding (a haemorrhage, say) may be absent where another stands out: only what means anything counts.
NOTHING = re.compile(
    rf"\b(?:no|without|free of|absence of|nor) (?:{_QUALIFIER}[ ,-]+)*{_ANYTHING}|"
    rf"^(?:the |an? )?(?:{_QUALIFIER} )*{_ANYTHING} (?:is|are|was|were) (?:not|no longer) "
    r"(?:visible|seen|present|identified|evident|detected|apparent)\b|"
    r"\bnothing (?:abnormal |suspicious )?(?:stands? out|is (?:seen|visible))|"
    r"\bnothing (?:abnormal|suspicious|conspicuous)\b|"
    r"^(?:the |this )?(?:(?:whole|entire) )?(?:brain|image|scan|picture|examination|study|it|everything) "
    r"(?:is|appears|looks) (?:entirely )?(?:unremarkable|normal)\b",
    re.IGNORECASE,
)
# What may stand beside it. Anything else narrows it down ("no lesion in the cerebellum") to what is not measured.
BESIDE_NOTHING = re.compile(
    r"\b(?:but|while|whereas|although|however|and|there (?:is|are)|it shows|shows|is|are|was|were|can be|be|"
    r"seen|visible|identified|detected|evident|present|"
    r"apparent|found|here|anywhere|at all|stands? out|from the tissue around it|"
    r"(?:in|on) (?:this|the|any of the|any) (?:image|picture|slices?|brain|scan|examination|study)|"
    r"(?:in|on|at) the (?:left|right)(?: side| hemisphere)?|in|on|the|this)\b",
    re.IGNORECASE,
)
NEGATION = re.compile(
    r"\b(?:no|not|without|none|nothing|neither|nor|never|absent|absence|free of|cannot|unremarkable|normal)\b|"
    r"n['\u2019]t\b",
    re.IGNORECASE,
)
# Words by which a clause speaks of something else as well, or of nothing that is seen.
EXCEPTION = _words(
    r"(?:else|elsewhere|other|further|additional|second|except\w*|apart|aside|besides|outside|beyond|rest|remaining|"
    r"surrounding|otherwise|contralateral|unclear|uncertain|whether|if|may|might|could|possibl[ey])\b"
)
# Parts of the body that are bright or dark, and on a side, by nature.
ANATOMY = _words(
    r"csf\b|cerebrospinal|ventric(?:les?|ular system)\b|skull|calvari\w+|white matter|gr[ea]y matter|cortex|fat\b",
    r"bones?\b|background|sulci|cisterns?|air\b|myocardium",
)
SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")
# "Apart from this, no lesion": such a sentence says nothing of what was said before.
EXCEPTION_FIRST = re.compile(r"^(?:apart|aside|besides|except|otherwise|outside)\b", re.IGNORECASE)
# Where a sentence falls into clauses; the word of contrast or negation begins the next one.
SPLIT = re.compile(
    r",?\s+(?=(?:but|while|whereas|although|however|without|with no|and no)\b)|"
    r",\s*(?=(?:not|no|nor)\b)|,?\s+and\s+(?=(?:there|an?|the)\b)",
    re.IGNORECASE,
)
# From here on a clause tells of what else is touched, moved or reached, and of a direction instead of a place.
RELATION = _words(
    r"displac\w*|push\w*|shift\w*|compress\w*|exten(?:d|t|s)\w*|abut\w*|adjacent|towards?\b|touch\w*|reach\w*|cross\w*|"
    r"border(?:s|ing)\b|invad\w*|spread\w*|next to|relative to|compared|than\b|caus(?:es|ing)\b"
)
_PLACE = (
    r"(?:left|right|upper|lower|middle|antero\w*|anterior\w*|postero\w*|posterior\w*|superior\w*|inferior\w*|frontal|"
    r"occipital|dorsal|ventral|caudal|cranial)"
)
# Places in the names of parts: of borders and pictures, of anatomy, and right angles.
NAMES_OF_PARTS = _words(
    rf"{_PLACE}(?:[ -]\w+){{0,2}}[ -](?:borders?|margins?|edges?|rims?|walls?|contours?|panels?|rows?|columns?|"
    r"limbs?|gyr(?:us|i)|lobules?|horns?|colliculi?|colliculus|commissure|ganglia|fossa|sulcus|angles?|ventric\w*|atri\w*|"
    r"sinus|cerebral artery)\b"
)
OF_PICTURE = _words(r"(?:of|in) (?:the|this|each|every) (?:images?|pictures?|slices?|sheet|frame|view)\b")
SIDES: Mapping[str, re.Pattern[str]] = {
    "both": _words(r"bilateral\w*", r"both (?:sides|hemispheres)\b", r"(?:left and right|right and left)\b"),
    "midline": _words(
        r"(?:in|on|at|along|near) the midline\b",
        r"in the (?:centre|center|middle) of the (?:image|picture|body|brain)\b",
    ),
    "left": _words(r"left\b"),
    "right": _words(r"right\b(?! (?:next|above|below|behind))"),
}
ANTERIOR_POSTERIOR: Mapping[str, re.Pattern[str]] = {
    "anterior": _words(r"antero\w*", r"anterior\w*", r"frontal\b", r"ventral\b"),
    "posterior": _words(r"postero\w*", r"posterior\w*", r"occipital\b", r"dorsal\b"),
}
SUPERIOR_INFERIOR: Mapping[str, re.Pattern[str]] = {
    "superior": _words(r"superior\w*", r"upper\b", r"cranial\b", r"apical\b"),
    "inferior": _words(r"inferior\w*", r"lower (?!signal|intensity|density|attenuation|echo|than)", r"caudal\b"),
}
NUMBER = r"\d+(?:[.,]\d+)?"
# A distance, the width of a rim or an oedema, and the thickness of slices are no sizes of a lesion.
SIZE = re.compile(
    rf"({NUMBER}(?:\s*(?:mm|cm)?\s*(?:x|\u00d7|by|to|-|\u2013)\s*{NUMBER})*)\s*(mm|cm|millimet\w+|centimet\w+)\b"
    r"(?!\s*(?:from|above|below|behind|away|off|deep|thick|wide|lateral|medial|anterior|posterior|left|right|slices?))",
    re.IGNORECASE,
)
NO_SIZE_BEFORE = re.compile(
    r"\b(?:rim|wall|halo|shift|within|depth|distance|o?edema|margin|border|slices?)\b(?: \w+){0,3} ?$", re.IGNORECASE
)
SHARE = re.compile(
    rf"({NUMBER})\s*(?:%|percent|per cent) of (?:the|this) (?:picture|image|body part|brain)", re.IGNORECASE
)
EXTENTS: Mapping[str, re.Pattern[str]] = {
    "small": _words(r"(?:small|tiny|little|punctate|minute)\b"),
    "large": _words(r"(?:large|huge|extensive|big|massive)\b"),
}
ALIKE = _words(
    r"left and right (?:are|look|appear) alike\b",
    r"(?:sides|hemispheres|halves) (?:are|look|appear) (?:alike|symmetric(?:al)?)\b",
    r"brain (?:is|looks|appears) symmetric(?:al)?\b",
)
