// The page: which patient, which service, which panel; and what happens when a chart is opened.

import { announceCards, cardElement, restsElement } from "./cards.js";
import { chartSections } from "./chart.js";
import { announce, el, fill, plural } from "./dom.js";
import { ageOf, collection, everything, nameOf, read, setCodeNames } from "./fhir.js";
import { assessmentPanel, problem, wirePanel } from "./panels.js";
import { ownResponse, questionForm, questionnaireOf, storeResponse, verdictsOf, waiting } from "./questions.js";
import { assess, discover, endRests, feedback, patientView, rests } from "./service.js";
import { endTrouble, troubleControl, troubled } from "./trouble.js";

const TABS = { chart: "Chart", questions: "Questions", assessment: "Assessment", wire: "Requests" };
const page = {
  content: document.getElementById("content"),
  layout: document.getElementById("layout"),
  list: document.getElementById("patient-list"),
  search: document.getElementById("search"),
  service: document.getElementById("service"),
};
let config;
let services = [];
let patients = [];
// What belongs to the open chart; replaced as a whole when another one is opened, so that late answers find no place.
let chart = null;

async function start() {
  try {
    config = await (await fetch("config.json")).json();
    setCodeNames(config.codeNames);
    const [found, bundle] = await Promise.all([discover(), read("Patient?_count=200")]);
    services = found;
    const stories = new Map(config.patients.map((one) => [one.id, one]));
    patients = (bundle.entry ?? []).map(({ resource }) => ({ resource, ...stories.get(resource.id), id: resource.id }));
    patients.sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  } catch (error) {
    fill(page.content, problem({ message: `The sandbox could not start. ${error.message}` }));
    return;
  }
  const clock = document.getElementById("as-of");
  clock.textContent = config.asOf;
  clock.dateTime = config.asOf;
  const preferred = services.find((service) => config.trials.some((trial) => trial.service === service.id));
  fill(page.service, services.map((service) =>
    el("option", { value: service.id, title: service.title }, service.id)));
  if (preferred) page.service.value = preferred.id;
  page.service.addEventListener("change", () => chart && openChart(chart.id, chart.tab));
  page.search.addEventListener("input", listPatients);
  document.getElementById("reset").addEventListener("click", resetDemo);
  listPatients();
  addEventListener("hashchange", route);
  route();
}

function listPatients() {
  const words = page.search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const hits = patients.filter(({ resource, id, title = "", description = "" }) => {
    const text = `${nameOf(resource)} ${id} ${title} ${description}`.toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
  document.getElementById("found").textContent = words.length ? `${hits.length} of ${patients.length}` : plural(patients.length, "patient");
  fill(page.list, hits.map(({ resource, id, title }) => el("li", {},
    el("a", { href: `#/patient/${encodeURIComponent(id)}`, "aria-current": chart?.id === id ? "page" : null },
      el("span", { className: "name" }, nameOf(resource)),
      el("span", { className: "soft" }, ` ${whoIs(resource)}`),
      title ? el("span", { className: "story" }, title) : null))));
}

function whoIs(patient) {
  const age = ageOf(patient, config.asOf);
  return [patient.gender ?? "sex not recorded", age === null ? "age unknown" : `${age} y`].join(", ");
}

function route() {
  const [, kind, id, tab = "chart"] = location.hash.split("/").map(decodeURIComponent);
  if (kind !== "patient" || !id) return showWelcome();
  const wanted = TABS[tab] ? tab : "chart";
  if (chart?.id === id) return showTab(wanted);
  return openChart(id, wanted);
}

function showWelcome() {
  chart = null;
  page.layout.dataset.view = "list";
  document.title = "Sandbox EHR";
  listPatients();
  fill(page.content, el("div", { className: "welcome" },
    el("h1", {}, "Open a chart"),
    el("p", {}, "Choose a patient. The page then calls the CDS service as an EHR does, with a ",
      el("code", {}, "patient-view"), " hook, and shows the cards that come back."),
    el("ul", {},
      el("li", {}, "Answer the trial's questions and see the card change."),
      el("li", {}, "Accept a suggestion: draft orders are stored on the sandbox's FHIR server."),
      el("li", {}, "Read every criterion with its evidence under “Assessment”."),
      el("li", {}, "Let data be withheld, late or cut short, and see the card say what is missing.")),
    el("p", { className: "soft" }, "All patients are invented. Nothing leaves this machine.")));
}

async function openChart(id, tab) {
  const service = services.find((one) => one.id === page.service.value);
  const own = { id, tab, service, calls: 0, exchanges: [], resources: null, summaries: chart?.id === id ? chart.summaries : new Map() };
  chart = own;
  page.layout.dataset.view = "chart";
  listPatients();
  frame(own, null);
  try {
    own.resources = await everything(id);
  } catch (error) {
    if (chart === own) fill(page.content, el("a", { href: "#/", className: "back" }, "All patients"), problem(error));
    return;
  }
  if (chart !== own) return;
  const patient = own.resources.find((resource) => resource.resourceType === "Patient");
  frame(own, patient);
  page.content.querySelector("h1").focus();
  showTab(own.tab);
  await fireHook();
}

/** The chart's frame: who it is, the tabs, the panel, and the place for cards. */
function frame(own, patient) {
  const story = config.patients.find((one) => one.id === own.id);
  const name = patient ? nameOf(patient) : "Loading…";
  document.title = `${name} · Sandbox EHR`;
  const facts = patient ? [whoIs(patient), patient.birthDate ? `born ${patient.birthDate}` : "", patient.deceasedBoolean || patient.deceasedDateTime ? "deceased" : "", own.id] : [];
  fill(page.content,
    el("a", { href: "#/", className: "back" }, "All patients"),
    el("header", { className: "banner-patient" },
      el("h1", { tabindex: "-1" }, name),
      el("p", { className: "facts" }, facts.filter(Boolean).join(" · ")),
      story?.description ? el("p", { className: "soft" }, story.description) : null),
    el("div", { className: "columns" },
      el("section", { className: "advice", "aria-labelledby": "advice-title" },
        el("div", { className: "advice-head" },
          el("h2", { id: "advice-title" }, "Decision support"),
          el("button", { type: "button", id: "again", className: "quiet small", onclick: () => fireHook() }, "Ask again")),
        troubleControl(() => retry()),
        el("p", { className: "soft", id: "hook-status" }, "Asking the service…"),
        el("div", { id: "cards" })),
      el("div", { className: "record" },
        el("nav", { className: "tabs", "aria-label": "Parts of the chart" }, Object.entries(TABS).map(([key, label]) =>
          el("a", { href: `#/patient/${encodeURIComponent(own.id)}/${key}`, "data-tab": key }, label))),
        el("div", { id: "panel" }))));
}

/** Another way for data not to come: the service is asked anew, and so is whatever the panel shows of it. */
async function retry() {
  announce("Asking the service again.");
  const own = chart;
  await fireHook();
  if (chart === own && own.tab !== "chart") await showTab(own.tab);
}

async function fireHook() {
  const own = chart;
  const call = (own.calls += 1);
  const status = document.getElementById("hook-status");
  const place = document.getElementById("cards");
  status.textContent = "Asking the service…";
  place.setAttribute("aria-busy", "true");
  let exchange;
  try {
    exchange = await patientView(own.service, own.id, config.user, config.types);
  } catch (error) {
    exchange = { title: "patient-view", ok: false, message: `The service could not be reached. ${error.message}` };
  }
  // Only the answer to the latest question counts: another chart or another call may have overtaken this one.
  if (chart !== own || own.calls !== call) return;
  place.removeAttribute("aria-busy");
  if (exchange.url) own.exchanges.unshift(exchange);
  if (!exchange.ok) {
    status.textContent = "";
    fill(place, problem(exchange));
    return;
  }
  const cards = exchange.response?.cards ?? [];
  status.textContent = cards.length
    ? `${plural(cards.length, "card")} in ${exchange.milliseconds} ms`
    : `No card for this patient (answered in ${exchange.milliseconds} ms).`;
  fill(place, cards.map((card, index) => {
    const key = card.extension?.["org.cds-service.assessment"]?.trial ?? String(index);
    const previous = own.summaries.get(key);
    own.summaries.set(key, card.summary);
    return cardElement(card, { tell: tellService(own), stored: refreshRecord, before: previous === card.summary ? null : previous });
  }));
  announceCards(cards, exchange.milliseconds);
  if (own.tab === "wire") showTab("wire");
  const resting = (await rests(own.id)).filter((rest) => own.service.id === "trial-eligibility" || own.service.id === `trial-${rest.trial}`);
  if (chart !== own || own.calls !== call || !resting.length) return;
  announce(resting.map(({ reason }) => `A card rests: ${reason}`).join(". "));
  place.append(restsElement(resting, config.trials, { wake: () => wake(own) }));
}

/** The operator's part: what rests for this patient comes again. */
async function wake(own) {
  await endRests(own.id);
  announce("Nothing rests any more. Asking the service again.");
  if (chart === own) await fireHook();
}

const tellService = (own) => async (card, entry) => {
  const exchange = await feedback(own.service, card, entry);
  own.exchanges.unshift(exchange);
  if (own === chart && own.tab === "wire") showTab("wire");
  return exchange.ok ? "The service was told." : `The service did not take the feedback (${exchange.status}).`;
};

/** What was written shows up in the chart at once. */
async function refreshRecord() {
  const own = chart;
  own.resources = await everything(own.id);
  if (chart === own && own.tab === "chart") showTab("chart");
}

async function showTab(tab) {
  const own = chart;
  own.tab = tab;
  for (const link of page.content.querySelectorAll(".tabs a")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const panel = document.getElementById("panel");
  if (!panel || !own.resources) return;
  try {
    if (tab === "chart") fill(panel, chartSections(own.resources));
    if (tab === "wire") wirePanel(panel, own.exchanges);
    if (tab === "assessment") await showAssessment(own, panel);
    if (tab === "questions") await showQuestions(own, panel);
  } catch (error) {
    if (chart === own && own.tab === tab) fill(panel, problem(error));
  }
}

async function showAssessment(own, panel) {
  waiting(panel);
  const exchange = await fullAssessment(own, trialOf(own.service)?.id);
  if (chart === own && own.tab === "assessment") await assessmentPanel(panel, exchange);
}

async function fullAssessment(own, trialId) {
  const exchange = await assess(collection(own.resources, troubled()), trialId, config.asOf);
  own.exchanges.unshift(exchange);
  return exchange;
}

const trialOf = (service) => config.trials.find((trial) => trial.service === service.id);

async function showQuestions(own, panel) {
  waiting(panel);
  const trial = trialOf(own.service) ?? config.trials[0];
  const [questionnaire, exchange] = await Promise.all([questionnaireOf(trial), fullAssessment(own, trial.id)]);
  if (chart !== own || own.tab !== "questions") return;
  const answer = exchange.ok ? [exchange.response].flat().find((one) => one.trial.id === trial.id) : null;
  const form = questionForm({
    questionnaire,
    response: ownResponse(own.resources, questionnaire, config.user),
    verdicts: verdictsOf(answer),
    patientId: own.id,
    user: config.user,
    asOf: config.asOf,
    save: async (resource) => {
      await storeResponse(resource);
      own.resources = await everything(own.id);
      announce("Answers saved. Asking the service again.");
      await fireHook();
      if (chart === own && own.tab === "questions") {
        await showTab("questions");
        const done = el("p", { className: "outcome", role: "status", tabindex: "-1" }, "Answers saved; the service was asked again.");
        document.getElementById("panel").prepend(done);
        done.focus();
      }
    },
  });
  fill(panel, el("h2", {}, questionnaire.title), form);
}

async function resetDemo() {
  await Promise.all([fetch("reset", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }), endRests(null)]);
  endTrouble();
  announce("The demo is back at its start.");
  const tab = chart?.tab;
  if (chart) { chart.summaries = new Map(); await openChart(chart.id, tab); }
}

start();
