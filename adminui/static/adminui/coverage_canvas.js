// The coverage map as a picture: where each cell lies, and its colour. What is selected and pointed at is drawn on top.
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

  const element = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const token = (name) => getComputedStyle(element("bf-coverage")).getPropertyValue(name).trim();

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
    brush.fillStyle = token("--bf-secondary");
    return brush;
  };

  // Draws the whole map, as large as there is room and in the colours of now.
  window.bfMapPicture = (map) => {
    const months = map.months.length;
    const rows = map.districts.length;
    const hasSummary = map.districts[0] === "all";
    const axis = 34;
    const body = element("bf-coverage-body");
    const room = body.clientWidth;
    const padding = parseFloat(getComputedStyle(body).paddingLeft) * 2;
    const width = clamp((room - padding - axis - 6) / months, room < 600 ? 4 : 3, 24);
    const height = clamp(Math.floor(540 / rows), room < 600 ? 5 : 4, 18);
    const wide = Math.round(months * width) + 2;
    const high = TOP + rows * height + SUMMARY_SPACE + 2;

    const x = (month) => Math.round(month * width);  // whole pixels, or the gaps between cells blur
    const y = (row) => TOP + row * height + (row && hasSummary ? SUMMARY_SPACE : 0);

    const drawAxis = (brush) => {
      brush.textAlign = "right";
      const step = [1, 2, 5, 10].find((each) => each * height >= 14) || 20;
      let free = 0;
      map.districts.forEach((id, row) => {
        const isNumber = /^\d+$/.test(id);
        const middle = y(row) + height / 2;
        const name = id === "all" ? "Σ" : id.replace(/^0+(?=.)/, "");
        const isWanted = !isNumber || step === 1 || row === Number(hasSummary) || Number(id) % step === 0;
        if (isWanted && middle >= free) {
          brush.fillText(name, axis - 6, middle);
          free = middle + 11;
        }
      });
    };

    const drawYears = (brush) => {
      let free = 0;
      map.years.forEach((year, month) => {
        if (month && map.years[month - 1] === year) return;
        const name = width * 12 >= 46 ? `${year.slice(0, 5)}${year.slice(-2)}` : year.slice(0, 4);
        const length = brush.measureText(name).width;
        if (x(month) < free || x(month) + length > wide) return;
        brush.fillText(name, x(month), 8);
        free = x(month) + length + 4;
      });
    };

    const drawCells = (brush) => {
      const colours = Object.fromEntries(Object.entries(COLOURS).map(([letter, name]) => [letter, token(name)]));
      const gap = token(GAP);
      const tall = height - 1;
      const stripe = Math.max(1, Math.round(tall / 4));  // of what is stored, but not as the month closed
      map.years.forEach((year, month) => {
        const endsYear = map.years[month + 1] !== year;
        const broad = x(month + 1) - x(month) - (endsYear ? 2 : 1);
        map.cells.forEach((cells, row) => {
          const letter = cells[month];
          if (letter === "u") return;
          brush.fillStyle = colours[letter];
          brush.fillRect(x(month), y(row), broad, tall);
          if ("SA".includes(letter)) {
            brush.fillStyle = gap;
            brush.fillRect(x(month), y(row) + tall - stripe, broad, stripe);
          }
        });
      });
    };

    const frame = (brush, [fromRow, toRow], [fromMonth, toMonth]) => brush.strokeRect(
      x(fromMonth) - 1.5, y(fromRow) - 1.5, x(toMonth + 1) - x(fromMonth) + 2, y(toRow) + height - y(fromRow) + 2,
    );

    const canvas = element("bf-map");
    const cells = document.createElement("canvas");  // so that only what is on top of them is drawn while the pointer moves

    const drawTop = (selection, cursor) => {
      const brush = canvas.getContext("2d");
      brush.save();
      brush.resetTransform();
      brush.clearRect(0, 0, canvas.width, canvas.height);
      brush.drawImage(cells, 0, 0);
      brush.restore();
      for (const run of selection?.runs || []) {
        for (const [thick, name] of [[4, HALO], [2, FRAME]]) {
          brush.lineWidth = thick;
          brush.strokeStyle = token(name);
          frame(brush, [run[0], run.at(-1)], [selection.first, selection.last]);
        }
      }
      if (cursor) {
        brush.lineWidth = 1.5;
        brush.strokeStyle = token(FRAME);
        frame(brush, [cursor.row, cursor.row], [cursor.month, cursor.month]);
      }
    };

    const cellAt = (event) => {
      const box = canvas.getBoundingClientRect();
      const [left, top] = [event.clientX - box.left, event.clientY - box.top - TOP];
      const space = hasSummary && top > height ? SUMMARY_SPACE : 0;
      return {
        row: clamp(Math.floor((top - space) / height), 0, rows - 1),
        month: clamp(Math.floor((left + 0.5) / width), 0, months - 1),
        isInside: left >= 0 && top >= 0 && left < wide && top < high - TOP,
      };
    };

    drawAxis(sized(element("bf-map-axis"), axis, high));
    const brush = sized(cells, wide, high);
    drawYears(brush);
    drawCells(brush);
    sized(canvas, wide, high);
    return { wide, cellWidth: width, x, y, cellAt, drawTop };
  };
})();
