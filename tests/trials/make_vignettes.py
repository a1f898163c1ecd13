"""The synthetic patients of the trial NCT02917681, built once by `python -m tests.trials.make_vignettes`.

AV-01 to AV-10 are the specification's acceptance vignettes (§9, screening day 2026-06-15); the further ones
show what a demonstration should show: no ALS, text only, stale results, already in the trial, and others.
Each file carries `expected`, what the service must say. A test holds the files equal to this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests import builders as fhir
from tests.builders import Resource
from tests.trials.criteria import CRITERIA, EXCLUSIONS, HUMAN

FOLDER: Final = Path(__file__).parents[2] / "cds_service" / "trials" / "nct02917681" / "vignettes"
# B0's verdicts: what only people know stays unknown.
_B0_VERDICTS: Final = {
    criterion: "unknown" if criterion in HUMAN else "not-met" if criterion in EXCLUSIONS else "met"
    for criterion in CRITERIA
}


@dataclass(frozen=True)
class Vignette:
    """One synthetic patient.

    `status`: the overall status; `differs`: the verdicts that differ from B0's. `evaluated=False`: the patient
    is not evaluated at all (deceased), so that no verdict is expected.
    """

    id: str
    title: str
    description: str
    bundle: Resource
    status: str
    differs: Mapping[str, str] = field(default_factory=dict)
    card: bool = True
    evaluated: bool = True

    def to_json(self) -> dict[str, Any]:
        verdicts: dict[str, str] = {**_B0_VERDICTS, **self.differs} if self.evaluated else {}
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "asOf": fhir.SCREENING_DAY,
            "bundle": self.bundle,
            "expected": {"status": self.status, "card": self.card, "criteria": verdicts},
        }


def base(
    patient_id: str,
    given: str,
    family: str,
    *extra: Resource | Iterable[Resource],
    without: Iterable[str] = (),
    about: Mapping[str, Any] | None = None,
    **replaced: Resource,
) -> Resource:
    """B0 of a named person, with the neurologist who asserted the ALS."""
    neurologist = f"{patient_id}-neurologist"
    facts = {"als": fhir.als(), **replaced}
    if "als" not in without:
        facts["als"] = {
            **facts["als"],
            "recordedDate": "2025-06-11",
            "asserter": {"reference": f"Practitioner/{neurologist}"},
        }
    else:
        del facts["als"]
    return fhir.b0(
        fhir.practitioner(neurologist, "Helena", "Prado"),
        *extra,
        who=fhir.patient(patient_id, given=given, family=family, **(about or {})),
        without=without,
        **facts,
    )


_WOMAN: Final = {"gender": "female", "birth_date": "1991-11-02"}


def _female_ranges() -> dict[str, Resource]:
    return {
        "alt": fhir.alt(28, high=33),
        "ast": fhir.ast(31, high=32),
        "creatinine": fhir.creatinine(0.7, high=1.0),
    }


def av_01() -> Vignette:
    return Vignette(
        id="AV-01",
        title="Base record",
        description="Man of 55 with probable ALS, all screening results recent and normal.",
        bundle=base("av-01-joao", "João", "Almeida"),
        status="eligible-pending-review",
    )


def av_02() -> Vignette:
    return Vignette(
        id="AV-02",
        title="Turned 71 today",
        description="As the base record, but born 1955-06-15: 71 years and 0 days on the screening day.",
        bundle=base("av-02-jose", "José", "Batista", about={"birth_date": "1955-06-15"}),
        status="excluded",
        differs={"IN01-Age": "not-met", "H2-Age": "not-met"},
    )


def av_03() -> Vignette:
    return Vignette(
        id="AV-03",
        title="Woman of 34 without a pregnancy test",
        description="As the base record, but a woman of child-bearing potential with no pregnancy test.",
        bundle=base("av-03-maria", "Maria", "Cardoso", about=_WOMAN, **_female_ranges()),
        status="unknown",
        differs={"EX10a-Pregnancy": "unknown"},
    )


def av_04() -> Vignette:
    return Vignette(
        id="AV-04",
        title="Raised AST in µkat/L",
        description="AST 2.5 µkat/L with an upper limit of 0.60 µkat/L, that is 150 U/L against 3 × 36 U/L.",
        bundle=base(
            "av-04-antonio", "Antônio", "Dias", ast=fhir.ast(2.5, unit="ukat/L", high=0.60), alt=fhir.alt(28)
        ),
        status="excluded",
        differs={"EX06-AstAlt": "met"},
    )


def av_05() -> Vignette:
    pid = "av-05-francisco"
    ointment = fhir.medication_request(
        fhir.rxnorm("42316", "tacrolimus"),
        text="Tacrolimo 0,1% pomada, uso tópico",
        dosageInstruction=[{"route": fhir.concept(fhir.snomed("6064005", "Topical route"))}],
    )
    return Vignette(
        id="AV-05",
        title="Traps that must not exclude",
        description=(
            "Immune to hepatitis B by vaccine, a mother with psoriasis, tacrolimus ointment, a revoked order "
            "for non-invasive ventilation, a gastrostomy entered in error, an epilepsy refuted, lymphoma in "
            "the family, an allergy to azathioprine, nicotine dependence."
        ),
        bundle=base(
            pid,
            "Francisco",
            "Esteves",
            fhir.serology(fhir.loinc("22322-2", "anti-HBs"), "pos"),
            fhir.condition(fhir.snomed("271511000", "Hepatitis B immune"), recorded="2020-03-01"),
            fhir.family_member_history(fhir.snomed("9014002", "Psoriasis")),
            ointment,
            fhir.service_request(fhir.snomed("428311008", "Non-invasive ventilation"), status="revoked"),
            fhir.procedure(
                fhir.snomed("235159007", "Percutaneous endoscopic gastrostomy"),
                status="entered-in-error",
                on="2026-02-01",
            ),
            fhir.condition(
                fhir.snomed("84757009", "Epilepsy"),
                clinical="inactive",
                verification="refuted",
                recorded="2019-05-20",
            ),
            fhir.condition(fhir.icd10cm("Z80.7", "Family history of lymphoma"), recorded="2021-08-09"),
            fhir.allergy(fhir.rxnorm("1256", "azathioprine")),
            fhir.condition(
                fhir.icd10cm("F17.210", "Nicotine dependence, cigarettes, uncomplicated"), onset="1995"
            ),
        ),
        status="eligible-pending-review",
    )


def av_06() -> Vignette:
    pid = "av-06-sebastiao"
    bipap = fhir.device(
        fhir.snomed("702173003", "Home bilevel positive airway pressure unit"),
        id=f"{pid}-bipap",
        patient={"reference": f"Patient/{pid}"},
    )
    return Vignette(
        id="AV-06",
        title="Advanced disease",
        description="Bilevel ventilation at home, a gastrostomy, ALSFRS-R 22, forced vital capacity 41 %.",
        bundle=base(
            pid,
            "Sebastião",
            "Farias",
            bipap,
            fhir.device_use_statement(f"Device/{pid}-bipap", timingPeriod={"start": "2026-02"}),
            fhir.procedure(fhir.snomed("235159007", "Percutaneous endoscopic gastrostomy"), on="2026-03-11"),
            alsfrs=fhir.alsfrs(22),
            fvc=fhir.fvc_percent(41),
        ),
        status="excluded",
        differs={
            "IN03-AlsfrsR": "not-met",
            "IN04-Fvc": "not-met",
            "EX13a-Niv": "met",
            "EX15-AlternativeFeeding": "met",
        },
    )


def av_07() -> Vignette:
    return Vignette(
        id="AV-07",
        title="Stem-cell tourism",
        description="Personal history of cellular therapy in 2023: mesenchymal cells, intrathecal, abroad.",
        bundle=base(
            "av-07-raimundo",
            "Raimundo",
            "Gomes",
            fhir.condition(
                fhir.icd10cm("Z92.858", "Personal history of other cellular therapy"),
                onset="2023",
                note=[{"text": "MSC intrathecal, Bangkok"}],
            ),
        ),
        status="excluded",
        differs={"EX01-PriorCellTherapy": "met"},
    )


def av_08() -> Vignette:
    pid = "av-08-luiz"
    sparse = fhir.bundle(
        fhir.patient(
            pid, given="Luiz", family="Holanda", birth_date="1968", state=None, city=None, country=None
        ),
        fhir.condition(
            fhir.cid10("G12.2", "Doença do neurônio motor"),
            text="ELA provável",
            id=f"{pid}-motor-neuron-disease",
        ),
        fhir.medication_request(fhir.rxnorm("35623", "riluzole"), text="Riluzol 50 mg", id=f"{pid}-riluzole"),
    )
    missing = [
        "H1-Condition",
        "IN02-ElEscorial",
        "IN03-AlsfrsR",
        "IN04-Fvc",
        "EX06-AstAlt",
        "EX07-Creatinine",
        "EX08a-HepatitisB",
        "EX08b-HepatitisC",
        "EX08c-Hiv",
        "EX08d-Htlv",
        "EX08e-Syphilis",
    ]
    return Vignette(
        id="AV-08",
        title="Sparse Brazilian record",
        description="CID-10 G12.2 with the text “ELA provável”, a year of birth and riluzole; no results.",
        bundle=sparse,
        status="unknown",
        differs=dict.fromkeys(missing, "unknown"),
    )


def av_09() -> Vignette:
    return Vignette(
        id="AV-09",
        title="Lymphoma survivor",
        description="Non-Hodgkin lymphoma in remission since 2011; a personal history counts for good.",
        bundle=base(
            "av-09-paulo",
            "Paulo",
            "Lacerda",
            fhir.condition(
                fhir.snomed("118601006", "Non-Hodgkin's lymphoma"),
                clinical="remission",
                onset="2009",
                abatement="2011",
            ),
        ),
        status="excluded",
        differs={"EX03e-Lymphoma": "met"},
    )


def av_10() -> Vignette:
    return Vignette(
        id="AV-10",
        title="Grey zones",
        description=(
            "Cleared hepatitis C, serofast syphilis, a course of prednisone, azathioprine stopped 43 days "
            "ago, migraine: every one needs a person's decision."
        ),
        bundle=base(
            "av-10-carlos",
            "Carlos",
            "Moreira",
            fhir.serology(fhir.loinc("11259-9", "HCV RNA"), "not-detected"),
            fhir.condition(
                fhir.snomed("76272004", "Syphilis"), clinical="resolved", onset="2016-01", abatement="2016-07"
            ),
            fhir.medication_statement(
                fhir.rxnorm("8640", "prednisone"),
                text="Prednisona 20 mg/dia",
                status="completed",
                start="2026-05-20",
                end="2026-06-05",
            ),
            fhir.medication_statement(
                fhir.rxnorm("1256", "azathioprine"), status="stopped", start="2025-09-01", end="2026-05-03"
            ),
            fhir.condition(fhir.snomed("37796009", "Migraine"), onset="2001"),
            hcv_ab=fhir.serology(fhir.loinc("13955-0", "HCV Ab"), "pos"),
            treponemal=fhir.serology(fhir.loinc("24110-9", "T. pallidum Ab"), "pos"),
            vdrl=fhir.observation(
                fhir.loinc("50690-7", "VDRL titre"), fhir.value_text("1:2"), on="2026-05-25"
            ),
        ),
        status="unknown",
        differs={
            "EX08b-HepatitisC": "unknown",
            "EX08e-Syphilis": "unknown",
            "EX09-Immunosuppressant": "unknown",
            "EX05-OtherNeuro": "unknown",
        },
    )


def av_11() -> Vignette:
    return Vignette(
        id="AV-11",
        title="No ALS",
        description="A chart without any sign of ALS: high blood pressure and migraine. No card is due.",
        bundle=base(
            "av-11-rosa",
            "Rosa",
            "Nogueira",
            fhir.condition(fhir.cid10("G43", "Migraine"), onset="2010"),
            without=["als", "el_escorial", "alsfrs", "fvc", "riluzole"],
            about={"gender": "female", "birth_date": "1962-01-20"},
            **_female_ranges(),
        ),
        status="excluded",
        differs={
            "H1-Condition": "not-met",
            "IN02-ElEscorial": "unknown",
            "IN03-AlsfrsR": "unknown",
            "IN04-Fvc": "unknown",
            "EX05-OtherNeuro": "unknown",
        },
        card=False,
    )


def av_12() -> Vignette:
    return Vignette(
        id="AV-12",
        title="ALS in words only",
        description="The problem list says “Esclerose Lateral Amiotrófica” without a code: to be confirmed.",
        bundle=base(
            "av-12-pedro",
            "Pedro",
            "Queiroz",
            als=fhir.condition(text="Esclerose Lateral Amiotrófica", onset="2025-02"),
        ),
        status="unknown",
        differs={"H1-Condition": "unknown"},
    )


def av_13() -> Vignette:
    old = "2026-02-10"
    serologies = {
        "hbsag": "5196-1",
        "anti_hbc": "13952-7",
        "hcv_ab": "13955-0",
        "hiv": "56888-1",
        "htlv": "22362-8",
        "vdrl": "5292-8",
        "treponemal": "24110-9",
    }
    return Vignette(
        id="AV-13",
        title="Stale results",
        description="Everything fits, but each result is older than its window and must be repeated.",
        bundle=base(
            "av-13-manoel",
            "Manoel",
            "Ribeiro",
            alsfrs=fhir.alsfrs(41, on=old),
            fvc=fhir.fvc_percent(82, on=old),
            alt=fhir.alt(28, on=old),
            ast=fhir.ast(31, on=old),
            creatinine=fhir.creatinine(0.7, on=old),
            **{name: fhir.serology(code, "neg", on=old) for name, code in serologies.items()},
        ),
        status="unknown",
        differs=dict.fromkeys(
            [
                "IN03-AlsfrsR",
                "IN04-Fvc",
                "EX06-AstAlt",
                "EX07-Creatinine",
                "EX08a-HepatitisB",
                "EX08b-HepatitisC",
                "EX08c-Hiv",
                "EX08d-Htlv",
                "EX08e-Syphilis",
            ],
            "unknown",
        ),
    )


def av_14() -> Vignette:
    pid = "av-14-teresa"
    study = fhir.research_study(
        f"{pid}-study", fhir.NCT, "Two intrathecal doses of autologous mesenchymal stem cells for ALS"
    )
    return Vignette(
        id="AV-14",
        title="Already in this trial",
        description="Enrolled in this very trial, on study: no card is due, and other trials are none of it.",
        bundle=base(
            pid,
            "Teresa",
            "Sampaio",
            study,
            fhir.research_subject(f"ResearchStudy/{pid}-study", period={"start": "2026-04-01"}),
            fhir.serology("2118-8", "neg", on="2026-06-12"),
            about={"gender": "female", "birth_date": "1985-08-30"},
            **_female_ranges(),
        ),
        status="eligible-pending-review",
        card=False,
    )


def av_15() -> Vignette:
    return Vignette(
        id="AV-15",
        title="Tracheostomy",
        description="Tracheostomy since March 2026, none of the other means of ventilation recorded.",
        bundle=base(
            "av-15-geraldo",
            "Geraldo",
            "Teixeira",
            fhir.procedure(fhir.snomed("307007002", "Percutaneous tracheostomy"), on="2026-03-03"),
            fhir.condition(fhir.cid10("Z93.0", "Tracheostomy status"), onset="2026-03-03"),
        ),
        status="excluded",
        differs={"EX13b-Tracheostomy": "met"},
    )


def av_16() -> Vignette:
    return Vignette(
        id="AV-16",
        title="Deceased",
        description="Died in January 2026: not evaluated, no card.",
        bundle=base("av-16-osvaldo", "Osvaldo", "Uchoa", about={"deceasedDateTime": "2026-01-02"}),
        status="not-applicable",
        card=False,
        evaluated=False,
    )


def av_17() -> Vignette:
    pid = "av-17-beatriz"
    coordinator = f"{pid}-coordinator"
    answers = fhir.attestation(
        {
            "IN05-NoPregnancyAgreement": "yes",
            "IN06-RegionalAccess": "yes",
            "IN07-ConsentCapacity": "yes",
            "IN08-LocalFollowUp": "yes",
            "EX02-CannotLieStill": "no",
            "EX03i-ProcedureIncapacity": "no",
            "EX04-OtherInterferingDisease": "no",
            "EX14b-UnstableMentalHealth": "no",
        },
        author=f"Practitioner/{coordinator}",
        on="2026-06-12T10:30:00-03:00",
    )
    return Vignette(
        id="AV-17",
        title="Candidate with the coordinator's answers",
        description="Woman of 41, pregnancy test negative; the coordinator has answered the open questions.",
        bundle=base(
            pid,
            "Beatriz",
            "Vasconcelos",
            fhir.practitioner(coordinator, "Lívia", "Xavier"),
            fhir.serology("2106-3", "neg", on="2026-06-12"),
            answers,
            about={"gender": "female", "birth_date": "1985-01-09"},
            **_female_ranges(),
        ),
        status="eligible-pending-review",
        differs={
            "IN05-NoPregnancyAgreement": "met",
            "IN06-RegionalAccess": "met",
            "IN07-ConsentCapacity": "met",
            "IN08-LocalFollowUp": "met",
            "EX02-CannotLieStill": "not-met",
            "EX03i-ProcedureIncapacity": "not-met",
            "EX04-OtherInterferingDisease": "not-met",
            "EX14b-UnstableMentalHealth": "not-met",
        },
    )


def av_18() -> Vignette:
    return Vignette(
        id="AV-18",
        title="Reactive HTLV screening",
        description=(
            "Motor neuron disease by CID-10 with an El Escorial category, and an HTLV screen that is "
            "reactive and not yet confirmed. HTLV myelopathy resembles ALS; the card must not name it."
        ),
        bundle=base(
            "av-18-ivone",
            "Ivone",
            "Zanetti",
            fhir.observation(
                fhir.loinc("22362-8", "HTLV I+II Ab"), fhir.value_text("Reagente"), on="2026-06-02"
            ),
            without=["htlv"],
            about={"gender": "female", "birth_date": "1963-04-18"},
            als=fhir.condition(fhir.cid10("G12.2", "Motor neuron disease"), onset="2025-02"),
            **_female_ranges(),
        ),
        status="unknown",
        differs={"EX08d-Htlv": "unknown"},
    )


def vignettes() -> list[Vignette]:
    makers = [
        av_01,
        av_02,
        av_03,
        av_04,
        av_05,
        av_06,
        av_07,
        av_08,
        av_09,
        av_10,
        av_11,
        av_12,
        av_13,
        av_14,
        av_15,
        av_16,
        av_17,
        av_18,
    ]
    return [make() for make in makers]


def text(vignette: Vignette) -> str:
    """The file's content: readable, stable, ending with a newline."""
    return json.dumps(vignette.to_json(), ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write one file a vignette."""
    for vignette in vignettes():
        (FOLDER / f"{vignette.id}.json").write_text(text(vignette), encoding="utf-8")


if __name__ == "__main__":
    main()
