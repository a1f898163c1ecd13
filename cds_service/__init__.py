"""A CDS Hooks service that pre-screens patients for clinical trials. The whole story in one screen:

    HookRequest ─ prefetch + FHIR searches ─┐                                           ┌─ Cards (CDS Hooks)
    Bundle / FHIR server ───────────────────┼→ PatientRecord → normalise → Verdicts → Assessment ─┼─ page, text, JSON
                                            ┘   (facts)       (same FHIR,  (ELM)     (one trial,
                                                               canonical)             one patient)

- `records`      one patient's FHIR R4 resources with the account of how each type was got, and their normalisation
- `terminology`  value sets and concept maps (data in `valuesets/` and `fhir_mappings/`)
- `elm`          the engine: ELM, translated from the criteria's CQL, compiled once to closures over FHIR JSON
- `eligibility`  a trial package, its verdicts, attestations and the overall status; no I/O, no clock
- `screening`    screen(record, trials, as_of) → assessments, the one path that everything shares
- `storage`      cards shown and feedback on them, under keyed hashes
- `hooks`        CDS Hooks: who may call, discovery, patient-view, cards, feedback      `sandbox`  the embedded demo EHR
- `audit`, `metrics`, `logs`   what is on record, counted and logged
- `server`       requests read within limits, answered by threads, ended in order
- `app`, `cli`   join the parts

Unknown is never turned into no: a doubtful fact, a failed search or an unreadable unit makes a criterion unknown.
"""

from typing import Final

__version__: Final = "0.1.0"
