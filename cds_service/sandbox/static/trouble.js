// Data that do not arrive, on demand: what the page asks of the sandbox's FHIR server, by token and scope, and says of it.

import { el } from "./dom.js";

const HOWS = {
  scope: "are left out of the token's scope",
  refused: "are refused (403)",
  fails: "fail to load (500)",
  slow: "take too long",
  part: "arrive in part",
};
// Of the types that the sandbox serves, those that the service asks for by patient.
const TYPES = ["Observation", "Condition", "Procedure", "MedicationRequest", "DiagnosticReport", "DeviceUseStatement",
  "ResearchSubject", "Consent", "QuestionnaireResponse", "Patient"];

// What the user chose; it stays while charts change, until it is taken back.
let chosen = { type: TYPES[0], how: "" };

/** The type that is in trouble, or null. */
export const troubled = () => (chosen.how ? chosen.type : null);

export const endTrouble = () => { chosen = { type: TYPES[0], how: "" }; };

/** What the client sends as fhirAuthorization; nothing while all goes well. `types`: all that the server has. */
export function authorization(types, subject) {
  if (!chosen.how) return null;
  const granted = chosen.how === "scope" ? types.filter((type) => type !== chosen.type) : types;
  return {
    access_token: `trouble.${chosen.how}.${chosen.type}`,
    token_type: "Bearer",
    expires_in: 300,
    scope: granted.map((type) => `patient/${type}.rs`).join(" "),
    subject,
  };
}

/** The control. `changed()` is called when something else is to go wrong. */
export function troubleControl(changed) {
  const option = ([value, label], selected) => el("option", { value, selected: value === selected }, label);
  const type = el("select", { id: "trouble-type", "aria-label": "Resource type that makes trouble" },
    TYPES.map((one) => option([one, one], chosen.type)));
  const how = el("select", { id: "trouble-how", "aria-label": "What goes wrong with it" },
    [["", "arrive as always"], ...Object.entries(HOWS)].map((one) => option(one, chosen.how)));
  const choose = () => {
    const before = chosen;
    chosen = { type: type.value, how: how.value };
    if (before.how || chosen.how) changed();
  };
  type.addEventListener("change", choose);
  how.addEventListener("change", choose);
  return el("details", { className: "trouble", open: Boolean(chosen.how) },
    el("summary", {}, "What if data can't be got?"),
    el("div", { className: "trouble-choice" }, type, how),
    el("p", { className: "soft" }, "It is the service that does without them; the chart stays whole."));
}
