// The sandbox's FHIR server as the page sees it, and how FHIR values read.

export const FHIR_BASE = new URL("fhir", document.baseURI).href;

/** An answer that was not a success; the message is the server's OperationOutcome where it sent one. */
export class ServerError extends Error {
  constructor(status, body) {
    super(outcomeText(body) || `The server answered ${status}.`);
    this.status = status;
    this.body = body;
  }
}

export function outcomeText(body) {
  if (body?.resourceType !== "OperationOutcome") return "";
  return (body.issue ?? []).map((issue) => issue.diagnostics || issue.details?.text || issue.code).join(" ");
}

async function send(path, options = {}) {
  const response = await fetch(path.startsWith("http") ? path : `${FHIR_BASE}/${path}`, {
    ...options,
    headers: { Accept: "application/fhir+json", ...(options.body ? { "Content-Type": "application/fhir+json" } : {}) },
  });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ServerError(response.status, body);
  return body;
}

export const read = (path) => send(path);
export const create = (resource) =>
  send(resource.resourceType, { method: "POST", body: JSON.stringify(resource) });
export const update = (resource) =>
  send(`${resource.resourceType}/${resource.id}`, { method: "PUT", body: JSON.stringify(resource) });

/** Everything the server holds of one patient, as a list of resources. */
export async function everything(patientId) {
  const bundle = await send(`Patient/${encodeURIComponent(patientId)}/$everything`);
  return (bundle.entry ?? []).map((entry) => entry.resource);
}

/** The resources as a collection Bundle: one patient's whole record, less a type that could not be got, if any. */
export function collection(resources, lost) {
  const kept = resources.filter((resource) => resource.resourceType !== lost || lost === "Patient");
  const entry = kept.map((resource) => ({
    fullUrl: `${FHIR_BASE}/${resource.resourceType}/${resource.id}`, resource,
  }));
  if (lost && lost !== "Patient") {
    const issue = [{ severity: "error", code: "incomplete", expression: [lost], diagnostics: `${lost} could not be got.` }];
    entry.push({ resource: { resourceType: "OperationOutcome", issue } });
  }
  return { resourceType: "Bundle", type: "collection", entry };
}

export function nameOf(patient) {
  const name = (patient.name ?? []).find((one) => one.use === "official") ?? patient.name?.[0];
  if (!name) return `${patient.resourceType} ${patient.id}`;
  return name.text || [...(name.given ?? []), name.family].filter(Boolean).join(" ");
}

/** Completed years at a day, or null where the birth date leaves it open by more than the year. */
export function ageOf(patient, asOf) {
  const birth = patient.birthDate;
  if (!birth) return null;
  if (birth.length < 10) return `about ${Number(asOf.slice(0, 4)) - Number(birth.slice(0, 4))}`;
  const hadBirthday = asOf.slice(5) >= birth.slice(5);
  return String(Number(asOf.slice(0, 4)) - Number(birth.slice(0, 4)) - (hadBirthday ? 0 : 1));
}

// Words for codes that come without any, by "system|code"; set once at the start.
let codeNames = {};
export const setCodeNames = (names) => { codeNames = names ?? {}; };

/** A CodeableConcept in words: its text, a display, the dictionary's name, or the bare code. */
export function conceptText(concept) {
  if (!concept) return "";
  const codings = concept.coding ?? [];
  const display = codings.find((one) => one.display)?.display;
  const known = codings.map((one) => codeNames[`${one.system}|${one.code}`]).find(Boolean);
  return concept.text || display || known || codings[0]?.code || "";
}

export function codeOf(concept) {
  const coding = concept?.coding?.[0];
  return coding?.code ?? "";
}

function quantityText(quantity) {
  return [quantity.comparator, quantity.value, quantity.unit ?? quantity.code].filter((part) => part !== undefined).join(" ");
}

/** Any value[x] in words. */
export function valueText(resource) {
  if (resource.valueQuantity) return quantityText(resource.valueQuantity);
  if (resource.valueCodeableConcept) return conceptText(resource.valueCodeableConcept);
  if (resource.valueRange) {
    const { low, high } = resource.valueRange;
    return [low && quantityText(low), high && quantityText(high)].filter(Boolean).join(" to ");
  }
  if (resource.valueRatio) {
    const { numerator, denominator } = resource.valueRatio;
    return `${numerator?.value ?? ""}:${denominator?.value ?? ""}`;
  }
  for (const key of ["valueInteger", "valueString", "valueBoolean", "valueDateTime", "valueTime"]) {
    if (resource[key] !== undefined) return String(resource[key]);
  }
  if (resource.dataAbsentReason) return `no value: ${conceptText(resource.dataAbsentReason)}`;
  if (resource.interpretation) return resource.interpretation.map(conceptText).join(", ");
  return "";
}

export function rangeText(resource) {
  const range = resource.referenceRange?.[0];
  if (!range) return "";
  if (range.text) return range.text;
  const low = range.low?.value;
  const high = range.high?.value;
  const unit = range.high?.unit ?? range.low?.unit ?? "";
  if (low !== undefined && high !== undefined) return `${low} to ${high} ${unit}`;
  if (high !== undefined) return `up to ${high} ${unit}`;
  return low !== undefined ? `from ${low} ${unit}` : "";
}

/** The day (or partial date) on which a resource is about something. */
export function dateOf(resource) {
  const period = resource.effectivePeriod ?? resource.performedPeriod ?? resource.onsetPeriod ?? resource.timingPeriod ?? resource.period;
  const date =
    resource.effectiveDateTime ?? resource.effectiveInstant ?? resource.performedDateTime ?? resource.onsetDateTime ??
    resource.authoredOn ?? resource.authored ?? resource.occurrenceDateTime ?? resource.timingDateTime ?? resource.whenHandedOver ??
    period?.start ?? resource.recordedOn ?? resource.recordedDate ?? resource.dateTime ?? resource.issued ?? resource.date;
  return date ? String(date).slice(0, 10) : "";
}
