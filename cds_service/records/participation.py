"""ResearchSubjects as the trials' CQL reads them: which study, and whether the patient takes part in it.

After it `study.reference` is `ResearchStudy/{id}` where the study is in the record, be it named by reference or
only by one of its identifiers; any other reference stays as it came, and names no study of the record. What the
status means (participating, possibly, no) comes from the ConceptMap `researchsubject-status` as a tag, so that a
site can add its own.

Error policy: nothing raises. A status that no map knows gets no tag, and a study that can't be told stays unresolved:
both leave the criterion open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cds_service.terminology.concept_maps import ConceptMaps
from cds_service.terminology.map_rules import RESEARCH_SUBJECT_STATUS
from cds_service.terminology.systems import PARTICIPATION

Resource = dict[str, Any]
STATUSES: Final = RESEARCH_SUBJECT_STATUS
_MAP: Final = "researchsubject-status"


def with_participation(subject: Resource, studies: Sequence[Resource], maps: ConceptMaps) -> Resource:
    """The ResearchSubject (tidied) with its study's reference and its status's tag; itself when neither changes."""
    changes: Resource = {}
    study = subject.get("study")
    if isinstance(study, dict) and study.get("reference") not in _references(studies):
        named = _by_identifier(study.get("identifier"), studies)
        if named is not None:
            changes["study"] = {**study, "reference": named}
    meanings = [
        {"system": target.system, "code": target.code}
        for target in maps.translate(_MAP, STATUSES, subject.get("status", ""))
        if target.system == PARTICIPATION
    ]
    meta = subject.get("meta", {})
    # The tag is this service's word: one that the record brought along says nothing.
    others = [tag for tag in meta.get("tag", ()) if tag.get("system") != PARTICIPATION]
    if meanings or len(others) != len(meta.get("tag", ())):
        changes["meta"] = {**meta, "tag": [*others, *meanings]}
    return {**subject, **changes} if changes else subject


def _references(studies: Sequence[Resource]) -> frozenset[str]:
    return frozenset(f"ResearchStudy/{study.get('id')}" for study in studies)


def _by_identifier(wanted: Any, studies: Sequence[Resource]) -> str | None:
    """The one study of the record that carries this identifier; None when there is none, or more than one."""
    if not isinstance(wanted, Mapping) or not wanted.get("value"):
        return None
    found = {
        f"ResearchStudy/{study.get('id')}"
        for study in studies
        if any(_same(wanted, own) for own in study.get("identifier", ()))
    }
    return found.pop() if len(found) == 1 else None


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal values, of one system as far as both say theirs."""
    systems = {one.get("system"), other.get("system")} - {None}
    return one.get("value") == other.get("value") and len(systems) <= 1
