// The trial's questions: a form built from the FHIR Questionnaire, its answers stored as a QuestionnaireResponse.

import { el, fill, plural } from "./dom.js";
import { create, read, update } from "./fhir.js";

/** The Questionnaire of a trial, as the server holds it. */
export async function questionnaireOf(trial) {
  return read(`Questionnaire/${encodeURIComponent(trial.questionnaire)}`);
}

/** The response that this page's user stored for this patient and Questionnaire, or null. */
export function ownResponse(resources, questionnaire, user) {
  const same = (canonical) => (canonical ?? "").split("|")[0] === questionnaire.url;
  const own = resources.filter((r) => r.resourceType === "QuestionnaireResponse" && same(r.questionnaire) && r.author?.reference === user);
  return own.sort((a, b) => (a.meta?.lastUpdated ?? "").localeCompare(b.meta?.lastUpdated ?? "")).at(-1) ?? null;
}

/**
 * The form. `verdicts`: criterion id → {status, basis, words, open}, where the assessment is known; then what the record answers
 * already is folded away. `save(resource)` gets the QuestionnaireResponse to store.
 */
export function questionForm({ questionnaire, response, verdicts, patientId, user, asOf, save }) {
  const given = answersOf(response);
  const groups = questionnaire.item.map((item) => group(item, given, verdicts)).filter(Boolean);
  const known = verdicts.size > 0;
  const only = el("input", { type: "checkbox", id: "only-open", checked: known });
  const shown = el("p", { className: "soft", role: "status" });
  const status = el("p", { className: "outcome", role: "status" });
  const form = el("form", { className: "questions" },
    el("p", {}, "Each question states a criterion of the trial. ", el("strong", {}, "Yes means the statement is true"),
      ", for inclusion and exclusion criteria alike."),
    known ? el("label", { className: "switch", htmlFor: "only-open" }, only, " Only what the record leaves open") : null,
    shown, groups,
    el("div", { className: "actions" }, el("button", { type: "submit", className: "primary" }, "Save answers and ask again"), status));

  const filter = () => {
    const items = [...form.querySelectorAll("fieldset.item")];
    for (const item of items) item.hidden = only.checked && item.dataset.open === "false" && !item.querySelector("input:checked:not([value=''])");
    for (const part of form.querySelectorAll("section.group")) part.hidden = !part.querySelector("fieldset.item:not([hidden])");
    shown.textContent = `${plural(items.filter((item) => !item.hidden).length, "question")} of ${items.length} shown`;
  };
  only.addEventListener("change", filter);
  filter();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.primary");
    button.disabled = true;
    status.textContent = "Saving…";
    try {
      const built = buildResponse(form, { questionnaire, response, patientId, user, asOf });
      await save(built);
    } catch (error) {
      status.textContent = `Not saved. ${error.message}`;
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

function answersOf(response) {
  const answers = new Map();
  const walk = (items) => {
    for (const item of items ?? []) {
      const code = item.answer?.[0]?.valueCoding?.code;
      if (code) answers.set(item.linkId, code);
      walk(item.item);
    }
  };
  walk(response?.item);
  return answers;
}

function group(item, given, verdicts) {
  if (item.type !== "group") return item.type === "choice" ? question(item, given, verdicts) : null;
  const parts = (item.item ?? []).map((child) => group(child, given, verdicts)).filter(Boolean);
  return parts.length ? el("section", { className: "group" }, el("h3", {}, item.text), parts) : null;
}

function question(item, given, verdicts) {
  const verdict = verdicts.get(item.linkId);
  const help = (item.item ?? []).find((child) => child.type === "display")?.text;
  const choice = (coding, label) => {
    const value = coding ? JSON.stringify(coding) : "";
    const id = `${item.linkId}-${coding?.code ?? "none"}`;
    const checked = (given.get(item.linkId) ?? "") === (coding?.code ?? "");
    return el("label", { htmlFor: id }, el("input", { type: "radio", name: item.linkId, id, value, checked }), ` ${label}`);
  };
  const options = (item.answerOption ?? []).map(({ valueCoding }) => choice(valueCoding, (valueCoding.display ?? valueCoding.code).split(":")[0]));
  const helpId = help ? `${item.linkId}-help` : null;
  return el("fieldset", { className: "item", "data-item": item.linkId, "data-open": String(verdict?.open ?? true), "aria-describedby": helpId },
    el("legend", {}, item.text, " ", verdict ? el("span", { className: `chip ${verdict.status}` }, verdict.words) : null),
    help ? el("p", { className: "soft", id: helpId }, help) : null,
    el("div", { className: "options" }, options, choice(null, "No answer")));
}

/** FHIR R4 QuestionnaireResponse of what is ticked, in the Questionnaire's own groups; linkId = criterion id. */
function buildResponse(form, { questionnaire, response, patientId, user, asOf }) {
  const ticked = new Map();
  for (const input of form.querySelectorAll("input[type=radio]:checked")) if (input.value) ticked.set(input.name, JSON.parse(input.value));
  const build = (items) => items.flatMap((item) => {
    if (item.type === "group") {
      const inner = build(item.item ?? []);
      return inner.length ? [{ linkId: item.linkId, text: item.text, item: inner }] : [];
    }
    return ticked.has(item.linkId) ? [{ linkId: item.linkId, text: item.text, answer: [{ valueCoding: ticked.get(item.linkId) }] }] : [];
  });
  const item = build(questionnaire.item);
  return {
    resourceType: "QuestionnaireResponse",
    ...(response ? { id: response.id } : {}),
    questionnaire: questionnaire.version ? `${questionnaire.url}|${questionnaire.version}` : questionnaire.url,
    status: response ? "amended" : "completed",
    subject: { reference: `Patient/${patientId}` },
    authored: asOf,
    author: { reference: user },
    ...(item.length ? { item } : {}),
  };
}

/** Stores a response: the first time created, later updated, so that a withdrawn answer is gone. */
export const storeResponse = (resource) => (resource.id ? update(resource) : create(resource));

/** What the assessment says of each criterion, in the words of the form. */
export function verdictsOf(assessment) {
  const verdicts = new Map();
  for (const criterion of assessment?.criteria ?? []) {
    const exclusion = criterion.kind === "exclusion";
    const words = criterion.status === "unknown" ? "unknown"
      : criterion.basis === "no-evidence" ? "no record found"
      : exclusion ? (criterion.status === "met" ? "present" : "not present") : criterion.status.replace("-", " ");
    const attested = criterion.basis === "attested" ? ", as answered" : "";
    const favourable = (criterion.status === "met") !== exclusion;
    const status = criterion.status === "unknown" ? "open" : favourable ? "pass" : "fail";
    verdicts.set(criterion.id, { status, words: words + attested, open: criterion.status === "unknown" || criterion.basis === "attested" });
  }
  return verdicts;
}

/** A panel while the form is being put together. */
export const waiting = (panel) => fill(panel, el("p", { className: "soft" }, "Loading…"));
