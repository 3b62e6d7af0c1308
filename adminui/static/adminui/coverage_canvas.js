// Draws the coverage map: position and colour of each cell, with selection and cursor as an overlay.
(() => {
  "use strict";

  const TOP = 20;  // space for the labels of program years
  const SUMMARY_SPACE = 4;  // between the row of the summary and the districts
  const GAP = "--bf-cell-0";
  const COLOURS = {
    n: "--bf-track", N: GAP, s: "--bf-cell-1", S: "--bf-cell-1", f: "--bf-cell-2", a: "--bf-cell-3", A: "--bf-cell-3",
  };
  const UNKNOWN = "--bf-unknown";
  const FRAME = "--body-loud-color";
  const HALO = "--body-bg";

  const element = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const token = (name) => getComputedStyle(element("bf-coverage")).getPropertyValue(name).trim();

  const setUp = (canvas, mapWidth, mapHeight) => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(mapWidth * ratio);
    canvas.height = Math.round(mapHeight * ratio);
    canvas.style.width = `${mapWidth}px`;
    canvas.style.height = `${mapHeight}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    context.fillStyle = token("--bf-secondary");
    return context;
  };

  // Unknown cells are hatched, so that they differ from all others without colour.
  const hatch = (context, colour) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 4;
    const pen = tile.getContext("2d");
    pen.fillStyle = colour;
    for (let n = 0; n < 4; n += 1) pen.fillRect(n, 3 - n, 1, 1);
    return context.createPattern(tile, "repeat");
  };

  // Draws the map to fit the available space, in the colours of the current theme.
  window.bfCoverageCanvas = (map) => {
    const months = map.months.length;
    const rows = map.districts.length;
    const hasSummary = map.districts[0] === "all";
    const axis = 34;
    const body = element("bf-coverage-body");
    const available = body.clientWidth;
    const padding = parseFloat(getComputedStyle(body).paddingLeft) * 2;
    const width = clamp((available - padding - axis - 6) / months, available < 600 ? 4 : 3, 24);
    const height = clamp(Math.floor(540 / rows), available < 600 ? 5 : 4, 18);
    const mapWidth = Math.round(months * width) + 2;
    const mapHeight = TOP + rows * height + SUMMARY_SPACE + 2;

    const x = (month) => Math.round(month * width);  // whole pixels, so that the gaps between cells are sharp
    const y = (row) => TOP + row * height + (row && hasSummary ? SUMMARY_SPACE : 0);

    const drawAxis = (context) => {
      context.textAlign = "right";
      const step = [1, 2, 5, 10].find((each) => each * height >= 14) || 20;
      let free = 0;
      map.districts.forEach((id, row) => {
        const isNumber = /^\d+$/.test(id);
        const middle = y(row) + height / 2;
        const name = id === "all" ? "Σ" : id.replace(/^0+(?=.)/, "");
        const isWanted = !isNumber || step === 1 || row === Number(hasSummary) || Number(id) % step === 0;
        if (isWanted && middle >= free) {
          context.fillText(name, axis - 6, middle);
          free = middle + 11;
        }
      });
    };

    const drawYears = (context) => {
      let free = 0;
      map.years.forEach((year, month) => {
        if (month && map.years[month - 1] === year) return;
        const name = width * 12 >= 46 ? `${year.slice(0, 5)}${year.slice(-2)}` : year.slice(0, 4);
        const length = context.measureText(name).width;
        if (x(month) < free || x(month) + length > mapWidth) return;
        context.fillText(name, x(month), 8);
        free = x(month) + length + 4;
      });
    };

    const drawCells = (context) => {
      const colours = Object.fromEntries(Object.entries(COLOURS).map(([letter, name]) => [letter, token(name)]));
      const gap = token(GAP);
      const hatching = hatch(context, token(UNKNOWN));
      const cellHeight = height - 1;
      const stripe = Math.max(1, Math.round(cellHeight / 4));  // marks cells without the final figures of the month
      map.years.forEach((year, month) => {
        const endsYear = map.years[month + 1] !== year;
        const cellWidth = x(month + 1) - x(month) - (endsYear ? 2 : 1);
        map.cells.forEach((cells, row) => {
          const letter = cells[month];
          if (letter === "u") return;
          context.fillStyle = letter === "q" ? hatching : colours[letter];
          context.fillRect(x(month), y(row), cellWidth, cellHeight);
          if ("SA".includes(letter)) {
            context.fillStyle = gap;
            context.fillRect(x(month), y(row) + cellHeight - stripe, cellWidth, stripe);
          }
        });
      });
    };

    const frame = (context, [fromRow, toRow], [fromMonth, toMonth]) => context.strokeRect(
      x(fromMonth) - 1.5, y(fromRow) - 1.5, x(toMonth + 1) - x(fromMonth) + 2, y(toRow) + height - y(fromRow) + 2,
    );

    const canvas = element("bf-map");
    const cells = document.createElement("canvas");  // kept, so that pointer moves redraw only the overlay

    const drawOverlay = (selection, cursor) => {
      const context = canvas.getContext("2d");
      context.save();
      context.resetTransform();
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(cells, 0, 0);
      context.restore();
      for (const run of selection?.runs || []) {
        for (const [lineWidth, name] of [[4, HALO], [2, FRAME]]) {
          context.lineWidth = lineWidth;
          context.strokeStyle = token(name);
          frame(context, [run[0], run.at(-1)], [selection.first, selection.last]);
        }
      }
      if (cursor) {
        context.lineWidth = 1.5;
        context.strokeStyle = token(FRAME);
        frame(context, [cursor.row, cursor.row], [cursor.month, cursor.month]);
      }
    };

    const cellAt = (event) => {
      const box = canvas.getBoundingClientRect();
      const [left, top] = [event.clientX - box.left, event.clientY - box.top - TOP];
      const space = hasSummary && top > height ? SUMMARY_SPACE : 0;
      return {
        row: clamp(Math.floor((top - space) / height), 0, rows - 1),
        month: clamp(Math.floor((left + 0.5) / width), 0, months - 1),
        isInside: left >= 0 && top >= 0 && left < mapWidth && top < mapHeight - TOP,
      };
    };

    drawAxis(setUp(element("bf-map-axis"), axis, mapHeight));
    const context = setUp(cells, mapWidth, mapHeight);
    drawYears(context);
    drawCells(context);
    setUp(canvas, mapWidth, mapHeight);
    return { width: mapWidth, cellWidth: width, x, y, cellAt, drawOverlay };
  };
})();
