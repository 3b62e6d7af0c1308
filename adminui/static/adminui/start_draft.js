// Keeps what was entered in the start form: in this tab, for the same user, also over a sign-out and sign-in.
(() => {
  "use strict";

  const HOURS_KEPT = 12;
  const PARAMETERS = ["from", "to", "cadence", "job", "district", "skip"];  // an address that fills the form

  const form = () => document.getElementById("bf-start-form");
  const key = () => `bf-start-form ${form().dataset.user}`;
  const fields = () => [...form().elements].filter((field) => field.name && field.type !== "hidden");
  const isChoice = (field) => field.type === "radio" || field.type === "checkbox";

  const save = () => {
    if (!form()) return;
    const values = fields().filter((field) => !isChoice(field) || field.checked).map((field) => [field.name, field.value]);
    sessionStorage.setItem(key(), JSON.stringify({ at: Date.now(), values }));
  };

  const saved = () => {
    const draft = JSON.parse(sessionStorage.getItem(key()) || "null");
    return draft && Date.now() - draft.at < HOURS_KEPT * 3_600_000 ? draft.values : null;
  };

  const restore = () => {
    const values = saved();
    if (!values) return;
    for (const field of fields()) {
      const given = values.filter(([name]) => name === field.name).map(([, value]) => value);
      if (isChoice(field)) field.checked = given.includes(field.value);
      else if (given.length) [field.value] = given;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!form()) return;
    const isFilled = PARAMETERS.some((name) => new URLSearchParams(location.search).has(name));
    if (!isFilled && !form().querySelector("[aria-invalid=true]")) restore();
    const saveLater = () => setTimeout(save);  // after the handlers that change the form
    for (const kind of ["input", "change", "click", "focusout"]) {
      document.body.addEventListener(kind, (event) => { if (form()?.contains(event.target)) saveLater(); });
    }
    document.body.addEventListener("bf-use-range", saveLater);
    document.body.addEventListener("htmx:afterRequest", (event) => {
      const { elt, xhr } = event.detail;
      if (elt.id === "bf-start-plan" && xhr.status === 204 && form()) sessionStorage.removeItem(key());
    });
  });
})();
