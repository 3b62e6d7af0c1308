// The start form: presets, what depends on the job type, and the choice of districts.
(() => {
  "use strict";

  const form = () => document.getElementById("bf-start-form");
  const boxes = () => [...form().querySelectorAll("input[name=district]")];
  const text = () => form().querySelector("#bf-districts-text");

  // Presets.

  const fill = ({ from, to, cadence }) => {
    const fields = form().elements;
    fields.start_date.value = from;
    fields.end_date.value = to;
    fields.cadence.value = cadence;
    markPreset();
  };

  const markPreset = () => {
    const fields = form().elements;
    for (const chip of form().querySelectorAll("[id^=bf-preset-]")) {
      const { from, to, cadence } = chip.dataset;
      const isOn = fields.start_date.value === from && fields.end_date.value === to && fields.cadence.value === cadence;
      chip.setAttribute("aria-pressed", isOn);
    }
  };

  // What depends on the job type.

  const showType = () => {
    const isAnalytics = form().elements.job_type.value === "analytics-generation";
    for (const part of form().querySelectorAll(".bf-collection-only")) part.hidden = isAnalytics;
    for (const part of form().querySelectorAll(".bf-analytics-only")) part.hidden = !isAnalytics;
  };

  // Districts.

  const idsIn = (words) => {
    const known = boxes().map((box) => box.value);
    const normal = (word) => (/^\d+$/.test(word) ? word.replace(/^0+/, "").padStart(2, "0") : word.toUpperCase());
    const found = [];
    for (const word of words.split(/[,;\s]+/).filter(Boolean)) {
      const range = word.match(/^(\d+)[-–](\d+)$/);
      const wanted = range
        ? known.filter((id) => /^\d+$/.test(id) && Number(id) >= Number(range[1]) && Number(id) <= Number(range[2]))
        : known.filter((id) => id === normal(word));
      if (!wanted.length) return null;
      found.push(...wanted);
    }
    return found;
  };

  const runs = (ids) => {
    const groups = [];
    for (const id of ids) {
      const last = groups.at(-1)?.at(-1);
      const follows = last && /^\d+$/.test(id) && /^\d+$/.test(last) && Number(id) === Number(last) + 1;
      if (follows) groups.at(-1).push(id);
      else groups.push([id]);
    }
    return groups.flatMap((group) => (group.length > 2 ? [group] : group.map((id) => [id])));
  };

  const plain = (id) => id.replace(/^0+(?=.)/, "");

  const showPicked = () => {
    const picker = form().querySelector("#bf-district-picker");
    const place = form().querySelector("#bf-chosen-districts");
    const chosen = boxes().filter((box) => box.checked).map((box) => box.value);
    const { all, some } = form().querySelector("#bf-district-count").dataset;
    form().querySelector("#bf-district-count").textContent = chosen.length ? `${chosen.length} ${some}` : all;
    place.replaceChildren(
      ...runs(chosen).map((group) => {
        const name = group.length > 1 ? `${plain(group[0])} ${picker.dataset.to} ${plain(group.at(-1))}` : plain(group[0]);
        const chip = document.createElement("button");
        chip.type = "button";
        chip.className = "bf-chosen-chip";
        chip.dataset.ids = group.join(" ");
        chip.setAttribute("aria-label", `${picker.dataset.remove} ${name}`);
        chip.append(name);
        const cross = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        cross.setAttribute("aria-hidden", "true");
        const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
        use.setAttribute("href", "#bfi-cross");
        cross.append(use);
        chip.append(cross);
        return chip;
      }),
    );
  };

  const tick = (ids, isOn = true) => {
    for (const box of boxes()) if (ids.includes(box.value)) box.checked = isOn;
    showPicked();
  };

  const isSearch = (words) => Boolean(words) && !/[-–,;\s]/.test(words);  // else it is a list, or a range

  const search = () => {
    const words = text().value.trim().toUpperCase();
    for (const box of boxes()) {
      box.closest("label").hidden = isSearch(words) && !plain(box.value).startsWith(words.replace(/^0+/, ""));
    }
  };

  // A box is ticked: what was typed had been there to find it.
  const endSearch = (box) => {
    if (!isSearch(text().value.trim())) return;
    text().value = "";
    search();
    box.scrollIntoView({ block: "nearest" });
  };

  const takeText = () => {
    const ids = text().value.trim() && boxes().length ? idsIn(text().value) : null;
    if (!ids) return false;
    tick(ids);
    text().value = "";
    search();
    return true;
  };

  const useRange = ({ from, to, districts, cadence }) => {
    const fields = form().elements;
    fields.start_date.value = from;
    fields.end_date.value = to;
    if (cadence) fields.cadence.value = cadence;
    for (const box of boxes()) box.checked = districts.includes(box.value);
    showPicked();
    markPreset();
    const details = document.getElementById("bf-start");
    if (details) details.open = true;
    fields.start_date.focus();
  };

  const ready = () => {
    if (!form()) return;
    showType();
    markPreset();
    showPicked();
  };

  document.addEventListener("DOMContentLoaded", () => {
    ready();
    const page = document.body;

    page.addEventListener("click", (event) => {
      if (!form()?.contains(event.target)) return;
      const preset = event.target.closest("[id^=bf-preset-]");
      if (preset) {
        event.preventDefault();
        fill(preset.dataset);
      }
      const chip = event.target.closest(".bf-chosen-chip");
      if (chip) {
        tick(chip.dataset.ids.split(" "), false);
        text().focus();
      }
      if (event.target.id === "bf-choose-all") tick(boxes().map((box) => box.value));
      if (event.target.id === "bf-choose-none") tick(boxes().map((box) => box.value), false);
    });

    page.addEventListener("change", (event) => {
      if (!form()?.contains(event.target)) return;
      const { name } = event.target;
      if (name === "job_type") showType();
      if (name === "district") {
        endSearch(event.target);
        showPicked();
      }
      if (["start_date", "end_date", "cadence"].includes(name)) markPreset();
    });

    // What was typed is taken when the picker is left, and not on the way to a box that it finds.
    page.addEventListener("focusout", (event) => {
      const picker = event.target.closest("#bf-district-picker");
      if (picker && !picker.contains(event.relatedTarget)) takeText();
    });

    // A button that cannot be used keeps its place; Enter in a field still leads to the preview.
    page.addEventListener("submit", (event) => {
      const isRefused = event.submitter?.getAttribute("aria-disabled") === "true" && document.activeElement === event.submitter;
      if (!isRefused) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    }, { capture: true });

    page.addEventListener("input", (event) => {
      if (event.target.id === "bf-districts-text") search();
      if (event.target.closest("#bf-limits") && event.target.name) {
        const place = document.querySelector("#bf-limits .bf-unsaved");
        if (place) place.textContent = place.dataset.words;
      }
    });

    page.addEventListener("keydown", (event) => {
      if (event.target.id === "bf-districts-text" && event.key === "Enter" && text().value.trim()) {
        if (takeText()) event.preventDefault();
      }
    });

    page.addEventListener("htmx:beforeRequest", (event) => {
      if (event.detail.elt.id === "bf-start-form") {
        const busy = form().querySelector(".bf-pending-message");
        useRange.timer = setTimeout(() => { busy.textContent = busy.dataset.words; }, 700);
      }
    });
    page.addEventListener("htmx:afterRequest", (event) => {
      clearTimeout(useRange.timer);
      if (event.detail.elt.id === "bf-start-form" && form()) form().querySelector(".bf-pending-message").textContent = "";
    });
    page.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target.id === "bf-start-form") ready();
      if (event.detail.target.id === "bf-limits") {
        (document.querySelector("#bf-limits [aria-invalid=true]") || document.getElementById("bf-save-limits")).focus();
      }
    });

    // For the coverage map: `document.body.dispatchEvent(new CustomEvent("bf-use-range", {detail: {from, to, districts}}))`.
    page.addEventListener("bf-use-range", (event) => { if (form()) useRange(event.detail); });
  });
})();
