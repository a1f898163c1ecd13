// The CDS client: discovery, the patient-view hook with its prefetch, feedback, and the full assessment.
// Every exchange is kept, so that the page can show what was sent and what came back.

import { uuid } from "./dom.js";
import { FHIR_BASE, ServerError, read } from "./fhir.js";
import { authorization, troubled } from "./trouble.js";

const SERVICES = new URL("../cds-services", document.baseURI).href;
const ASSESSMENTS = new URL("../assessments", document.baseURI).href;
const REPORT = new URL("report", document.baseURI).href;

/** The services that this page can call: those on the patient-view hook. */
export async function discover() {
  const response = await fetch(SERVICES, { headers: { Accept: "application/json" } });
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ServerError(response.status, body);
  return (body?.services ?? []).filter((service) => service.hook === "patient-view");
}

/** POST JSON and report the exchange: {title, url, status, milliseconds, request, response}. Never throws on 4xx/5xx. */
async function exchange(title, url, request) {
  const started = performance.now();
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(request),
  });
  const text = await answer.text();
  let response = null;
  try { response = text ? JSON.parse(text) : null; } catch { response = text; }
  const milliseconds = Math.round(performance.now() - started);
  return { title, url, status: answer.status, ok: answer.ok, milliseconds, request, response };
}

/** What the service asked for in discovery. What can't be had is left out: the service then fetches it or says so. */
async function prefetchFor(service, context) {
  const prefetch = {};
  await Promise.all(Object.entries(service.prefetch ?? {}).map(async ([key, template]) => {
    const query = template.replace(/\{\{\s*context\.(\w+)\s*\}\}/g, (_, field) => encodeURIComponent(context[field] ?? ""));
    if (query.includes("{{")) return;
    if (query.split(/[/?]/)[0] === troubled()) return;
    try { prefetch[key] = await read(query); } catch { /* an absent key is how a client says "not got" */ }
  }));
  return prefetch;
}

/** Opens the chart: fires patient-view at one service for one patient. */
export async function patientView(service, patientId, userId, types) {
  const context = { userId, patientId };
  const fhirAuthorization = authorization(types, "cds-service-demo");
  const request = {
    hook: "patient-view",
    hookInstance: uuid(),
    fhirServer: FHIR_BASE,
    ...(fhirAuthorization ? { fhirAuthorization } : {}),
    context,
    prefetch: await prefetchFor(service, context),
  };
  return exchange("patient-view", `${SERVICES}/${encodeURIComponent(service.id)}`, request);
}

/** Tells the service what became of a card. `entry`: the feedback entry without card and time. */
export function feedback(service, card, entry) {
  const one = { card: card.uuid, ...entry, outcomeTimestamp: new Date().toISOString() };
  const url = `${SERVICES}/${encodeURIComponent(service.id)}/feedback`;
  return exchange("feedback", url, { feedback: [one] });
}

/** The full assessment of one record (a collection Bundle), for one trial or, without an id, for all. */
export function assess(bundle, trialId, asOf) {
  const query = new URLSearchParams(trialId ? { trial: trialId, asOf } : { asOf });
  return exchange("assessment", `${ASSESSMENTS}?${query}`, bundle);
}

/** Which cards rest for a patient, and why: asked of the demo's operator, whom no EHR has; empty where nobody answers. */
export async function rests(patient) {
  const answer = await operator("rests", { patient }).catch(() => null);
  return answer?.ok ? answer.json() : [];
}

/** Forgets what was issued and answered for one patient, or for all, so that every card that is due comes again. */
export async function endRests(patient) {
  const answer = await operator("rests/end", patient ? { patient } : {});
  if (!answer.ok) throw new ServerError(answer.status, await answer.json().catch(() => null));
}

function operator(path, body) {
  const url = new URL(path, document.baseURI);
  return fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** An assessment's JSON as the server words it: HTML that is already escaped. */
export async function report(assessments) {
  const answer = await fetch(REPORT, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(assessments),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
