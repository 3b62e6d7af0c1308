// The coverage map: a cell for each district and month. Pointer and keys read a cell and select a part of the map.
(() => {
  "use strict";

  const TOP = 20;  // of the names of program years
  const SUMMARY_SPACE = 4;  // between the summary and the districts
  const GAP = "--bf-cell-0";
  const COLOURS = {
    n: "--bf-track", N: GAP, s: "--bf-cell-1", S: "--bf-cell-1", f: "--bf-cell-2", a: "--bf-cell-3", A: "--bf-cell-3",
  };
  const FRAME = "--body-loud-color";
  const HALO = "--body-bg";
  const MOVES = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    PageUp: [-10, 0], PageDown: [10, 0], Home: [0, -Infinity], End: [0, Infinity],
  };

  const element = (id) => document.getElementById(id);
  const plural = (words, n) => words[n === 1 ? 0 : 1].replace("{n}", n.toLocaleString("en"));
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  let map = null;
  let etag = "";
  let size = {};
  let drawn = null;  // all cells, so that only what is on top of them is drawn anew while the pointer moves
  let cursor = null;  // {row, month}
  let anchor = null;
  let selection = null;  // {rows, first, last}: rows by number, months first to last

  // What there is.

  const state = (row, month) => map.cells[row][month];
  const isMissing = (letter) => letter !== letter.toLowerCase();
  const isStored = (letter) => "sfa".includes(letter.toLowerCase());
  const hasSummary = () => map.districts[0] === "all";
  const count = (digits, month) => parseInt(digits[month], 32);

  const rowsBetween = (one, other) => {
    const [low, high] = one < other ? [one, other] : [other, one];
    return Array.from({ length: high - low + 1 }, (_row, n) => low + n);
  };

  const runsOf = (rows) => {
    const runs = [];
    for (const row of rows) {
      if (runs.length && row === runs.at(-1).at(-1) + 1) runs.at(-1).push(row);
      else runs.push([row]);
    }
    return runs;
  };

  // Drawing.

  const token = (name) => getComputedStyle(element("bf-coverage")).getPropertyValue(name).trim();

  const measure = () => {
    const axis = 34;
    const room = element("bf-coverage-body").clientWidth;
    const padding = parseFloat(getComputedStyle(element("bf-coverage-body")).paddingLeft) * 2;
    const months = map.months.length;
    const rows = map.districts.length;
    const width = clamp((room - padding - axis - 6) / months, room < 600 ? 4 : 3, 24);
    const height = clamp(Math.floor(540 / rows), room < 600 ? 5 : 4, 18);
    size = { axis, width, height, wide: Math.round(months * width) + 2, high: TOP + rows * height + SUMMARY_SPACE + 2 };
  };

  const x = (month) => Math.round(month * size.width);  // whole pixels, or the gaps between cells blur
  const y = (row) => TOP + row * size.height + (row && hasSummary() ? SUMMARY_SPACE : 0);

  const sized = (canvas, wide, high) => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${high}px`;
    const brush = canvas.getContext("2d");
    brush.scale(ratio, ratio);
    brush.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    brush.textBaseline = "middle";
    brush.fillStyle = token("--bf-quiet");
    return brush;
  };

  const draw = () => {
    measure();
    drawAxis();
    drawn = document.createElement("canvas");
    const brush = sized(drawn, size.wide, size.high);
    drawYears(brush);
    drawCells(brush);
    sized(element("bf-map"), size.wide, size.high);
    drawTop();
  };

  const drawAxis = () => {
    const brush = sized(element("bf-map-axis"), size.axis, size.high);
    brush.textAlign = "right";
    const step = [1, 2, 5, 10].find((each) => each * size.height >= 14) || 20;
    let free = 0;
    map.districts.forEach((id, row) => {
      const isNumber = /^\d+$/.test(id);
      const middle = y(row) + size.height / 2;
      const name = id === "all" ? "Σ" : id.replace(/^0+(?=.)/, "");
      const isWanted = !isNumber || step === 1 || row === Number(hasSummary()) || Number(id) % step === 0;
      if (isWanted && middle >= free) {
        brush.fillText(name, size.axis - 6, middle);
        free = middle + 11;
      }
    });
  };

  const drawYears = (brush) => {
    let free = 0;
    map.years.forEach((year, month) => {
      if (month && map.years[month - 1] === year) return;
      const name = size.width * 12 >= 46 ? `${year.slice(0, 5)}${year.slice(-2)}` : year.slice(0, 4);
      const wide = brush.measureText(name).width;
      if (x(month) < free || x(month) + wide > size.wide) return;
      brush.fillText(name, x(month), 8);
      free = x(month) + wide + 4;
    });
  };

  const drawCells = (brush) => {
    const colours = Object.fromEntries(Object.entries(COLOURS).map(([letter, name]) => [letter, token(name)]));
    const gap = token(GAP);
    const high = size.height - 1;
    map.years.forEach((year, month) => {
      const endsYear = map.years[month + 1] !== year;
      const wide = x(month + 1) - x(month) - (endsYear ? 2 : 1);
      map.cells.forEach((cells, row) => {
        const letter = cells[month];
        if (letter === "u") return;
        brush.fillStyle = colours[letter];
        brush.fillRect(x(month), y(row), wide, high);
        if ("SA".includes(letter)) {
          brush.fillStyle = gap;
          brush.fillRect(x(month), y(row) + high - Math.max(1, Math.round(high / 4)), wide, Math.max(1, Math.round(high / 4)));
        }
      });
    });
  };

  const drawTop = () => {
    const canvas = element("bf-map");
    const brush = canvas.getContext("2d");
    brush.save();
    brush.resetTransform();
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.drawImage(drawn, 0, 0);
    brush.restore();
    if (selection) {
      const { first, last } = selection;
      for (const run of runsOf(selection.rows)) {
        const box = [x(first) - 1.5, y(run[0]) - 1.5, x(last + 1) - x(first) + 2, y(run.at(-1)) + size.height - y(run[0]) + 2];
        for (const [wide, name] of [[4, HALO], [2, FRAME]]) {
          brush.lineWidth = wide;
          brush.strokeStyle = token(name);
          brush.strokeRect(...box);
        }
      }
    }
    if (cursor) {
      brush.lineWidth = 1.5;
      brush.strokeStyle = token(FRAME);
      brush.strokeRect(x(cursor.month) - 1.5, y(cursor.row) - 1.5, x(cursor.month + 1) - x(cursor.month) + 2, size.height + 2);
    }
  };

  // Reading a cell.

  const told = ({ row, month }) => {
    const words = map.words;
    const letter = state(row, month);
    const said = [words[letter]];
    const stored = count(map.stored[row], month);
    const computed = count(map.computed[row], month);
    if (stored) said.push(plural(words.dates, stored));
    if (computed) said.push(filled(words.computed, { n: computed }));
    return filled(words.cell, { district: map.names[row], month: map.months[month], state: said.join(", ") });
  };

  const read = (cell, isAloud) => {
    element("bf-map-cell").textContent = told(cell);
    if (isAloud) element("bf-map-said").textContent = told(cell);
  };

  // Selecting.

  const select = (next) => {
    selection = next;
    const place = element("bf-selection");
    place.hidden = !next;
    if (next) element("bf-selection-text").replaceChildren(...selectionWords());
    drawTop();
  };

  const selectBetween = (one, other) => select({
    rows: rowsBetween(one.row, other.row),
    first: Math.min(one.month, other.month),
    last: Math.max(one.month, other.month),
  });

  const selectionWords = () => {
    const { rows, first, last } = selection;
    const words = map.words;
    const counts = { all: 0, missing: 0, stored: 0, unpublished: 0 };
    for (const row of rows) {
      for (let month = first; month <= last; month += 1) {
        const letter = state(row, month);
        counts.all += 1;
        if (isMissing(letter)) counts.missing += 1;
        if (isStored(letter)) counts.stored += 1;
        if (letter === "u") counts.unpublished += 1;
      }
    }
    const months = first === last ? map.months[first] : filled(words.span, { first: map.months[first], last: map.months[last] });
    const strong = document.createElement("strong");
    strong.textContent = selection.title || filled(words.selected, { districts: named(rows), months });
    const parts = ["missing", "stored", "unpublished"].filter((name) => counts[name]);
    const details = parts.map((name) => filled(words[name], { n: counts[name].toLocaleString("en") })).join(", ");
    const text = [strong, ` ${plural(words.cells, counts.all)}${details ? `: ${details}` : ""}.`];
    if (!districts().length && !isEverything()) text.push(` ${words.onlySummary}`);
    element("bf-selection-use").hidden = !canUse();
    return text;
  };

  const shortName = (row) => map.districts[row].replace(/^0+(?=.)/, "");

  const named = (rows) => {
    const isSummary = (row) => map.districts[row] === "all";
    const plain = runsOf(rows.filter((row) => !isSummary(row))).map((run) => (run.length === 1
      ? map.names[run[0]]
      : filled(map.words.districts, { first: shortName(run[0]), last: shortName(run.at(-1)) })));
    return [...rows.filter(isSummary).map((row) => map.names[row]), ...plain].join(", ");
  };

  // Using a selection.

  const districts = () => selection.rows.map((row) => map.districts[row]).filter((id) => id !== "all");

  const isEverything = () => {
    const chosen = new Set(selection.rows);
    return map.cells.every((cells, row) => {
      if (chosen.has(row) || map.districts[row] === "all") return true;
      return /^u*$/.test(cells.slice(selection.first, selection.last + 1));
    });
  };

  const hasForm = () => Boolean(document.getElementById("bf-start-form"));
  const canUse = () => hasForm() && (selection.isGap || isEverything() || districts().length > 0);

  const day = (month, isLast) => {
    const [year, number] = map.first.split("-").map(Number);
    return new Date(Date.UTC(year, number - 1 + month + (isLast ? 1 : 0), isLast ? 0 : 1)).toISOString().slice(0, 10);
  };

  const use = () => {
    const to = day(selection.last, true);
    const detail = {
      from: day(selection.first, false),
      to: to < map.lastDay ? to : map.lastDay,
      districts: isEverything() ? [] : districts(),
      cadence: selection.isGap ? "month-ends" : "",
    };
    document.body.dispatchEvent(new CustomEvent("bf-use-range", { detail }));
    element("bf-map-said").textContent = map.words.used;
  };

  // Gaps.

  const rowsOf = (ids) => ids.map((id) => map.districts.indexOf(id));

  const showGaps = () => {
    element("bf-gaps-part").hidden = !map.gaps.length;
    element("bf-gaps-more").hidden = !map.moreGaps;
    element("bf-gaps").replaceChildren(...map.gaps.map((gap) => {
      const item = element("bf-gap").content.cloneNode(true);
      item.querySelector("strong").textContent = gap.title;
      item.querySelector(".bf-quiet").textContent = gap.text;
      for (const button of item.querySelectorAll("button")) {
        button.setAttribute("aria-label", `${button.textContent}: ${gap.title}`);
        if (button.dataset.do === "use") button.hidden = !hasForm();
        button.addEventListener("click", () => {
          const { first, last, title } = gap;
          cursor = null;
          select({ rows: rowsOf(gap.districts), first, last, isGap: true, title: `${title}.` });
          if (button.dataset.do === "use") use();
          else show({ row: selection.rows[0], month: first });
        });
      }
      return item;
    }));
  };

  const show = ({ row, month }) => {
    const scroll = element("bf-map-scroll");
    const left = x(month);
    if (left < scroll.scrollLeft || left + size.width > scroll.scrollLeft + scroll.clientWidth) {
      scroll.scrollLeft = left - scroll.clientWidth / 3;
    }
    const box = element("bf-map").getBoundingClientRect();
    const middle = box.top + y(row);
    if (middle < 0 || middle > window.innerHeight) window.scrollBy(0, middle - window.innerHeight / 3);
  };

  // Pointer and keys.

  const cellAt = (event) => {
    const box = element("bf-map").getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top - TOP];
    const space = hasSummary() && top > size.height ? SUMMARY_SPACE : 0;
    return {
      row: clamp(Math.floor((top - space) / size.height), 0, map.districts.length - 1),
      month: clamp(Math.floor((left + 0.5) / size.width), 0, map.months.length - 1),
      isInside: left >= 0 && top >= 0 && left < size.wide && top < size.high - TOP,
    };
  };

  const isTouch = (event) => event.pointerType === "touch";

  const onPointerDown = (event) => {
    if (event.button !== 0 || isTouch(event)) return;
    const cell = cellAt(event);
    if (!cell.isInside) return;
    if (!event.shiftKey || !anchor) anchor = cell;
    cursor = cell;
    element("bf-map").setPointerCapture(event.pointerId);
    element("bf-map").focus({ preventScroll: true });
    selectBetween(anchor, cell);
    read(cell, false);
  };

  const onPointerMove = (event) => {
    if (isTouch(event)) return;
    const cell = cellAt(event);
    const isDragging = element("bf-map").hasPointerCapture(event.pointerId);
    if (!cell.isInside && !isDragging) return;
    read(cell, false);
    cursor = cell;
    if (isDragging) selectBetween(anchor, cell);
    else drawTop();
  };

  // A finger scrolls the map; what ends where it began is a tap. The second of two taps selects as far as there.
  const onPointerUp = (event) => {
    const cell = cellAt(event);
    if (!isTouch(event) || !cell.isInside) return;
    const isSecond = anchor && selection?.rows.length === 1 && selection.first === selection.last;
    if (!isSecond) anchor = cell;
    cursor = cell;
    element("bf-map").focus({ preventScroll: true });
    selectBetween(anchor, cell);
    read(cell, true);
    if (!isSecond) element("bf-map-cell").append(` ${map.words.tapAgain}`);
  };

  const onKey = (event) => {
    if (event.key === "Escape" && selection) {
      anchor = null;
      select(null);
      element("bf-map-said").textContent = map.words.cleared;
      return;
    }
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (!cursor) return;
      anchor = cursor;
      selectBetween(anchor, cursor);
      element("bf-map-said").textContent = element("bf-selection-text").textContent;
      return;
    }
    const move = MOVES[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const before = cursor || startingCell();
    if (!event.shiftKey) anchor = null;
    else if (!anchor) anchor = before;
    cursor = cursor || event.shiftKey ? {
      row: clamp(before.row + move[0], 0, map.districts.length - 1),
      month: clamp(before.month + move[1], 0, map.months.length - 1),
    } : before;
    if (anchor) selectBetween(anchor, cursor);
    else drawTop();
    show(cursor);
    read(cursor, true);
    if (anchor) element("bf-map-said").textContent = element("bf-selection-text").textContent;
  };

  const startingCell = () => {
    if (selection) return { row: selection.rows[0], month: selection.first };
    return { row: Number(hasSummary()), month: map.months.length - 1 };
  };

  // Loading.

  const take = (answer) => {
    const isFirst = !map;
    element("bf-coverage-waiting").hidden = true;
    element("bf-coverage-empty").hidden = !answer.isEmpty;
    element("bf-coverage-body").hidden = Boolean(answer.isEmpty);
    element("bf-coverage-summary").textContent = answer.summary || "";
    if (answer.isEmpty) return;
    const isSame = map && map.districts.join() === answer.districts.join() && map.months.length === answer.months.length;
    map = answer;
    if (!isSame) {
      cursor = anchor = null;
      forget();
    }
    element("bf-coverage-size").textContent = map.size;
    draw();
    if (selection) select(selection);
    if (cursor) read(cursor, false);
    showGaps();
    if (isFirst) element("bf-map-scroll").scrollLeft = size.wide;
    element("bf-coverage").dataset.state = "ready";
  };

  const forget = () => {
    selection = null;
    element("bf-selection").hidden = true;
  };

  const load = async () => {
    const place = element("bf-coverage");
    try {
      const response = await fetch(place.dataset.url, {
        headers: etag ? { "If-None-Match": etag } : {},
        cache: "no-store",
      });
      if (response.status === 304) return;
      if (!response.ok) throw new Error(response.status);
      etag = response.headers.get("ETag") || "";
      take(await response.json());
    } catch {
      if (map) return;  // what is shown stays
      element("bf-coverage-waiting").textContent = place.dataset.failed;
      place.dataset.state = "failed";
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const canvas = element("bf-map");
    if (!canvas) return;
    canvas.addEventListener("pointerdown", onPointerDown);
    canvas.addEventListener("pointermove", onPointerMove);
    canvas.addEventListener("pointerup", onPointerUp);
    canvas.addEventListener("pointerleave", () => { if (map && document.activeElement !== canvas) { cursor = null; drawTop(); } });
    canvas.addEventListener("keydown", onKey);
    canvas.addEventListener("blur", () => { cursor = null; if (map) drawTop(); });
    element("bf-selection-use").addEventListener("click", use);
    element("bf-selection-clear").addEventListener("click", () => {
      anchor = null;
      select(null);
      canvas.focus();
    });
    const redraw = () => { if (map) draw(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    let width = 0;
    new ResizeObserver(([entry]) => {
      const now = Math.round(entry.contentRect.width);
      if (now && now !== width) redraw();
      width = now;
    }).observe(element("bf-coverage"));
    document.body.addEventListener("bf-history", load);  // a job ended or began
    load();
  });
})();
