"""The resource types of FHIR R4, and which of their elements names the patient. Data; no errors."""

from __future__ import annotations

_ALL = """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic
    Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry
    ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication
    CommunicationRequest CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage
    CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric
    DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis
    Encounter Endpoint EnrollmentRequest EnrollmentResponse EpisodeOfCare EventDefinition Evidence
    EvidenceVariable ExampleScenario ExplanationOfBenefit FamilyMemberHistory Flag Goal GraphDefinition Group
    GuidanceResponse HealthcareService ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation
    ImplementationGuide InsurancePlan Invoice Library Linkage List Location Measure MeasureReport Media Medication
    MedicationAdministration MedicationDispense MedicationKnowledge MedicationRequest MedicationStatement
    MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication
    MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
    MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader
    MolecularSequence NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition
    OperationOutcome Organization OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation
    Person PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse
    RelatedPerson RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
    RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
    StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein
    SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task
    TerminologyCapabilities TestReport TestScript ValueSet VerificationResult VisionPrescription
"""
_BY_PATIENT = """
    AllergyIntolerance BodyStructure Claim ClaimResponse Consent CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory
    Immunization ImmunizationEvaluation ImmunizationRecommendation MolecularSequence NutritionOrder RelatedPerson
    SupplyDelivery VisionPrescription
"""
_BY_SUBJECT = """
    Account AdverseEvent Basic CarePlan CareTeam ChargeItem ClinicalImpression Communication CommunicationRequest
    Composition Condition DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference
    Encounter Flag Goal GuidanceResponse ImagingStudy Invoice List MeasureReport Media MedicationAdministration
    MedicationDispense MedicationRequest MedicationStatement Observation Procedure QuestionnaireResponse
    RequestGroup RiskAssessment ServiceRequest Specimen
"""

R4_TYPES = frozenset(_ALL.split())

# The types that the clinical rules read (clinical specification §2.1); an account of "everything failed"
# names them.
USED_TYPES = (
    "Condition",
    "Observation",
    "DiagnosticReport",
    "Procedure",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "MedicationDispense",
    "Medication",
    "Device",
    "DeviceUseStatement",
    "DeviceRequest",
    "SupplyDelivery",
    "NutritionOrder",
    "ServiceRequest",
    "ResearchSubject",
    "ResearchStudy",
    "Consent",
    "QuestionnaireResponse",
    "Encounter",
    "Immunization",
    "CareTeam",
)

# The element that names the patient, by type.
PATIENT_ELEMENTS: dict[str, str] = {
    **dict.fromkeys(_BY_PATIENT.split(), "patient"),
    **dict.fromkeys(_BY_SUBJECT.split(), "subject"),
    "ResearchSubject": "individual",
    "Coverage": "beneficiary",
    "Task": "for",
    "EnrollmentRequest": "candidate",
}

# Types that may stand without any patient: a device on the shelf, an account of the hospital.
PATIENT_OPTIONAL = frozenset(
    {
        "Device",
        "Account",
        "Basic",
        "List",
        "Invoice",
        "MeasureReport",
        "Specimen",
        "Task",
        "Media",
        "Composition",
    }
    | {"GuidanceResponse", "MolecularSequence", "DocumentManifest", "CommunicationRequest", "Communication"}
)
