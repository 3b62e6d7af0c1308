// The start form: presets, parts that depend on the job type, and the district picker.
(() => {
  "use strict";

  const form = () => document.getElementById("bf-start-form");
  let messageTimer = null;

  const boxes = () => [...form().querySelectorAll("input[name=district]")];
  const text = () => form().querySelector("#bf-districts-text");

  // Presets.

  const applyPreset = ({ from, to, cadence }) => {
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

  // Job type. Each type keeps its own dates: those of analytics are optional and begin empty.

  let shownType = "";
  let datesOf = {};  // job type to its dates, after the form has shown another type

  const showJobTypeParts = () => {
    const type = form().elements.job_type.value;
    for (const part of form().querySelectorAll("[data-job-type]")) part.hidden = part.dataset.jobType !== type;
    shownType = type;
  };

  const changeJobType = () => {
    const fields = form().elements;
    const { from, to } = form().querySelector("[name=job_type]:checked").dataset;
    datesOf[shownType] = [fields.start_date.value, fields.end_date.value];
    [fields.start_date.value, fields.end_date.value] = datesOf[fields.job_type.value] || [from, to];
    showJobTypeParts();
    markPreset();
  };

  // Districts.

  const parseDistricts = (words) => {
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

  const consecutiveRuns = (ids) => {
    const groups = [];
    for (const id of ids) {
      const last = groups.at(-1)?.at(-1);
      const follows = last && /^\d+$/.test(id) && /^\d+$/.test(last) && Number(id) === Number(last) + 1;
      if (follows) groups.at(-1).push(id);
      else groups.push([id]);
    }
    return groups.flatMap((group) => (group.length > 2 ? [group] : group.map((id) => [id])));
  };

  const withoutZeros = (id) => id.replace(/^0+(?=.)/, "");

  const showChosenDistricts = () => {
    const picker = form().querySelector("#bf-district-picker");
    const place = form().querySelector("#bf-chosen-districts");
    const chosen = boxes().filter((box) => box.checked).map((box) => box.value);
    const { all, some } = form().querySelector("#bf-district-count").dataset;
    form().querySelector("#bf-district-count").textContent = chosen.length ? `${chosen.length} ${some}` : all;
    place.replaceChildren(
      ...consecutiveRuns(chosen).map((group) => {
        const name = group.length > 1 ? `${withoutZeros(group[0])} ${picker.dataset.to} ${withoutZeros(group.at(-1))}` : withoutZeros(group[0]);
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

  const setChecked = (ids, isOn = true) => {
    for (const box of boxes()) if (ids.includes(box.value)) box.checked = isOn;
    showChosenDistricts();
  };

  const isSearch = (words) => Boolean(words) && !/[-–,;\s]/.test(words);  // otherwise a list or a range

  const search = () => {
    const words = text().value.trim().toUpperCase();
    for (const box of boxes()) {
      box.closest("label").hidden = isSearch(words) && !withoutZeros(box.value).startsWith(words.replace(/^0+/, ""));
    }
  };

  // Checking a box ends the search that found it.
  const endSearch = (box) => {
    if (!isSearch(text().value.trim())) return;
    text().value = "";
    search();
    box.scrollIntoView({ block: "nearest" });
  };

  const applyText = () => {
    const ids = text().value.trim() && boxes().length ? parseDistricts(text().value) : null;
    if (!ids) return false;
    setChecked(ids);
    text().value = "";
    search();
    return true;
  };

  // Limits that were changed and not saved apply to the job that is started from this page.

  const unsavedLimits = () =>
    [...document.querySelectorAll("#bf-limits input[type=number]")].filter((input) => input.value !== input.defaultValue);

  const showUnsavedLimits = () => {
    const place = document.querySelector("#bf-limits .bf-unsaved");
    if (place) place.textContent = unsavedLimits().length ? place.dataset.text : "";
  };

  const useRange = ({ from, to, districts, cadence }) => {
    const fields = form().elements;
    fields.start_date.value = from;
    fields.end_date.value = to;
    if (cadence) fields.cadence.value = cadence;
    for (const box of boxes()) box.checked = districts.includes(box.value);
    showChosenDistricts();
    markPreset();
    const details = document.getElementById("bf-start");
    if (details) details.open = true;
    fields.start_date.focus();
  };

  const initialise = () => {
    if (!form()) return;
    showJobTypeParts();
    markPreset();
    showChosenDistricts();
    showUnsavedLimits();
  };

  document.addEventListener("DOMContentLoaded", () => {
    initialise();
    const page = document.body;

    page.addEventListener("click", (event) => {
      if (!form()?.contains(event.target)) return;
      const preset = event.target.closest("[id^=bf-preset-]");
      if (preset) {
        event.preventDefault();
        applyPreset(preset.dataset);
      }
      const chip = event.target.closest(".bf-chosen-chip");
      if (chip) {
        setChecked(chip.dataset.ids.split(" "), false);
        text().focus();
      }
      if (event.target.id === "bf-choose-all") setChecked(boxes().map((box) => box.value));
      if (event.target.id === "bf-choose-none") setChecked(boxes().map((box) => box.value), false);
    });

    page.addEventListener("change", (event) => {
      if (!form()?.contains(event.target)) return;
      const { name } = event.target;
      if (name === "job_type") changeJobType();
      if (name === "district") {
        endSearch(event.target);
        showChosenDistricts();
      }
      if (["start_date", "end_date", "cadence"].includes(name)) markPreset();
    });

    // Apply the text when the focus leaves the picker, not when it moves to a check box. A press of the pointer ends
    // first, because the chips change the layout and would move a button away from the pointer.
    let isPressed = false;
    let isWaiting = false;
    page.addEventListener("pointerdown", () => { isPressed = true; }, { capture: true });
    for (const end of ["pointerup", "pointercancel"]) {
      page.addEventListener(end, () => {
        isPressed = false;
        if (isWaiting) setTimeout(() => { if (form()) applyText(); });  // after the click
        isWaiting = false;
      }, { capture: true });
    }
    page.addEventListener("focusout", (event) => {
      const picker = event.target.closest("#bf-district-picker");
      if (!picker || picker.contains(event.relatedTarget)) return;
      if (isPressed) isWaiting = true;
      else applyText();
    });

    // A disabled button does nothing; Enter in a field still opens the preview.
    page.addEventListener("submit", (event) => {
      const isDisabled = event.submitter?.getAttribute("aria-disabled") === "true" && document.activeElement === event.submitter;
      if (!isDisabled) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    }, { capture: true });

    page.addEventListener("input", (event) => {
      if (event.target.id === "bf-districts-text") search();
      if (event.target.closest("#bf-limits")) showUnsavedLimits();
    });

    page.addEventListener("keydown", (event) => {
      if (event.target.id === "bf-districts-text" && event.key === "Enter" && text().value.trim()) {
        if (applyText()) event.preventDefault();
      }
    });

    page.addEventListener("htmx:configRequest", (event) => {
      if (event.detail.elt.id !== "bf-start-form") return;
      for (const input of unsavedLimits()) event.detail.parameters[input.name] = input.value;
    });

    page.addEventListener("htmx:beforeRequest", (event) => {
      if (event.detail.elt.id === "bf-start-form") {
        const message = form().querySelector(".bf-pending-message");
        messageTimer = setTimeout(() => { message.textContent = message.dataset.text; }, 700);
      }
    });
    page.addEventListener("htmx:afterRequest", (event) => {
      clearTimeout(messageTimer);
      if (event.detail.elt.id === "bf-start-form" && form()) form().querySelector(".bf-pending-message").textContent = "";
    });
    page.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target.id === "bf-start-form") initialise();
      if (event.detail.target.id === "bf-limits") {
        (document.querySelector("#bf-limits [aria-invalid=true]") || document.getElementById("bf-save-limits")).focus();
      }
    });

    // For the coverage map: `document.body.dispatchEvent(new CustomEvent("bf-use-range", {detail: {from, to, districts}}))`.
    page.addEventListener("bf-use-range", (event) => { if (form()) useRange(event.detail); });
  });
})();
