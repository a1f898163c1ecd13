// The chart summary: what the sandbox server holds of one patient, newest first.

import { el, plural } from "./dom.js";
import { codeOf, conceptText, dateOf, nameOf, rangeText, valueText } from "./fhir.js";

const MEDICATIONS = ["MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"];
const DEVICES = ["DeviceUseStatement", "DeviceRequest", "Device", "SupplyDelivery", "NutritionOrder"];
const SHOWN = new Set(["Patient", "Condition", "Observation", "Procedure", "ServiceRequest", "QuestionnaireResponse",
  "Medication", ...MEDICATIONS, ...DEVICES]);

/** The chart's sections as nodes. */
export function chartSections(resources) {
  const of = (...types) => newestFirst(resources.filter((resource) => types.includes(resource.resourceType)));
  const title = titleWith(resources);
  return [
    section("Problems", of("Condition"), [
      ["Problem", (r) => named(conceptText(r.code), codeOf(r.code))],
      ["Status", (r) => [codeOf(r.clinicalStatus), codeOf(r.verificationStatus)].filter(Boolean).join(", ")],
      ["Since", dateOf],
    ]),
    section("Results", of("Observation"), [
      ["Result", (r) => named(conceptText(r.code), codeOf(r.code))],
      ["Value", valueWithParts],
      ["Range", rangeText],
      ["Date", dateOf],
      ["Status", (r) => r.status ?? ""],
    ]),
    section("Medications", of(...MEDICATIONS), [
      ["Medication", title],
      ["Kind", (r) => words(r.resourceType.replace("Medication", ""))],
      ["Date", dateOf],
      ["Status", (r) => r.status ?? ""],
    ]),
    section("Procedures", of("Procedure"), [
      ["Procedure", (r) => named(conceptText(r.code), codeOf(r.code))], ["Date", dateOf], ["Status", (r) => r.status ?? ""],
    ]),
    section("Devices and nutrition", of(...DEVICES), [
      ["What", title], ["Kind", (r) => words(r.resourceType)], ["Date", dateOf], ["Status", (r) => r.status ?? ""],
    ]),
    section("Orders", of("ServiceRequest"), [
      ["Order", (r) => named(conceptText(r.code), codeOf(r.code))],
      ["Status", (r) => [r.status, r.intent].filter(Boolean).join(", ")],
      ["Date", dateOf],
    ]),
    section("Answers to the trial's questions", of("QuestionnaireResponse"), [
      ["Answers", answersText], ["Status", (r) => r.status ?? ""], ["Date", dateOf],
    ]),
    section("Everything else", of(...new Set(resources.map((r) => r.resourceType).filter((type) => !SHOWN.has(type)))), [
      ["What", title], ["Kind", (r) => words(r.resourceType)], ["Date", dateOf], ["Status", (r) => r.status ?? ""],
    ]),
  ].filter(Boolean);
}

function section(title, resources, columns) {
  if (!resources.length) return null;
  const head = el("tr", {}, columns.map(([name]) => el("th", { scope: "col" }, name)));
  const rows = resources.map((resource) => el("tr", {}, columns.map(([name, read], index) => {
    const cell = read(resource);
    return index ? el("td", { "data-label": name, className: name === "Date" || name === "Since" ? "date" : "" }, cell) : el("th", { scope: "row" }, cell || "not named");
  })));
  const id = `section-${title.replace(/\W+/g, "-").toLowerCase()}`;
  return el("section", { "aria-labelledby": id },
    el("h3", { id }, title, el("span", { className: "count" }, ` ${resources.length}`)),
    el("table", { className: "chart" }, el("thead", {}, head), el("tbody", {}, rows)));
}

function newestFirst(resources) {
  return resources.map((r) => [dateOf(r), r]).sort((a, b) => b[0].localeCompare(a[0])).map(([, r]) => r);
}

function named(text, code) {
  return [text || "not named", code && code !== text ? el("span", { className: "soft code" }, ` ${code}`) : null];
}

function valueWithParts(observation) {
  const own = valueText(observation);
  const parts = (observation.component ?? []).map((part) => `${conceptText(part.code)}: ${valueText(part)}`);
  return [own, ...parts].filter(Boolean).join("; ");
}

/** How a resource is called: by its code, its medication or device, or what they refer to. */
function titleWith(resources) {
  const byReference = new Map(resources.map((r) => [`${r.resourceType}/${r.id}`, r]));
  return (resource) => {
    const reference = resource.medicationReference ?? resource.device ?? resource.study ?? resource.codeReference;
    const target = byReference.get(reference?.reference);
    const concept = resource.medicationCodeableConcept ?? resource.codeCodeableConcept ?? resource.code ??
      resource.vaccineCode ?? resource.type ?? resource.relationship ?? target?.code ?? target?.type ?? resource.scope ??
      resource.oralDiet?.type?.[0] ?? resource.enteralFormula?.baseFormulaType;
    const one = Array.isArray(concept) ? concept[0] : concept;
    if (Array.isArray(resource.name)) return nameOf(resource);
    return conceptText(one) || resource.name || resource.title || target?.title || reference?.display || resource.id;
  };
}

function answersText(response) {
  const answers = [];
  const walk = (items) => {
    for (const item of items ?? []) {
      for (const answer of item.answer ?? []) {
        answers.push(`${item.linkId}: ${answer.valueCoding?.code ?? answer.valueString ?? "…"}`);
      }
      walk(item.item);
    }
  };
  walk(response.item);
  return answers.length ? answers.join("; ") : plural(0, "answer");
}

const words = (type) => type.replace(/(?<!^)([A-Z])/g, " $1").toLowerCase();
