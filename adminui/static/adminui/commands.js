// The start form as a command line and as a request of the API, and buttons that copy a text.
(() => {
  "use strict";

  const form = () => document.getElementById("bf-start-form");
  const quoted = (word) => (/^[\w.:/=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

  const normal = (word) => (/^\d+$/.test(word) ? word.replace(/^0+/, "").padStart(2, "0") : word.toUpperCase());

  // The ids of a text such as `41-46, 60`, as forms.py reads it.
  const idsOf = (text) => {
    const words = text.replace(/(\d)\s*(?:[-–]|\bto\b)\s*(\d)/g, "$1-$2").split(/[,;\s]+/).filter((word) => word && word !== "and");
    return words.flatMap((word) => {
      const range = word.match(/^(\d{1,4})-(\d{1,4})$/)?.slice(1).map(Number);
      if (!range || range[1] - range[0] > 500) return [normal(word)];
      return Array.from({ length: range[1] - range[0] + 1 }, (_id, n) => normal(String(range[0] + n)));
    });
  };

  const request = () => {
    const fields = form().elements;
    const checked = [...form().querySelectorAll("[name=district]:checked")].map((box) => box.value);
    const body = { jobType: fields.job_type.value };
    if (fields.start_date.value) body.startDate = fields.start_date.value;
    if (fields.end_date.value) body.endDate = fields.end_date.value;
    const districts = [...new Set([...checked, ...idsOf(fields.districts.value)])];
    if (districts.length) body.targetDistricts = districts;
    body.cadence = fields.cadence.value;
    body.skipExisting = fields.skip_existing.checked;
    return body;
  };

  const commandLine = (body) => {
    const words = ["manage.py", "backfill", "start", "--type", body.jobType];
    if (body.startDate) words.push("--from", body.startDate);
    if (body.endDate) words.push("--to", body.endDate);
    for (const id of body.targetDistricts || []) words.push("--district", id);
    words.push("--cadence", body.cadence);
    if (!body.skipExisting) words.push("--no-skip-existing");
    return words.map(quoted).join(" ");
  };

  const curl = (body) => [
    `curl -X POST ${quoted(`${location.origin}/${document.getElementById("bf-curl").dataset.path}`)}`,
    `-H "Authorization: Token $TOKEN" -H 'Content-Type: application/json'`,
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(" ");

  const update = () => {
    if (!form()) return;
    const body = request();
    document.getElementById("bf-command-line").textContent = commandLine(body);
    document.getElementById("bf-curl").textContent = curl(body);
  };

  // The clipboard of the browser exists only on HTTPS and on this machine.
  const copy = async (element) => {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(element.textContent);
      return;
    }
    getSelection().selectAllChildren(element);
    document.execCommand("copy");
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
    if (form()) {
      document.getElementById("bf-commands").hidden = false;
      update();
    }
    for (const kind of ["input", "change", "click", "focusout"]) {
      document.body.addEventListener(kind, (event) => { if (form()?.contains(event.target)) setTimeout(update); });
    }
    document.body.addEventListener("bf-use-range", () => setTimeout(update));
    document.body.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target.id !== "bf-start-form") return;
      document.getElementById("bf-commands").hidden = false;
      for (const button of form().querySelectorAll("[data-copy]")) button.hidden = false;
      update();
    });
    document.addEventListener("click", async (event) => {
      const button = event.target.closest?.("[data-copy]");
      if (!button) return;
      await copy(document.getElementById(button.dataset.copy));
      document.getElementById("bf-toast").textContent = button.dataset.done;
      setTimeout(() => { document.getElementById("bf-toast").textContent = ""; }, 3000);
    });
  });
})();
