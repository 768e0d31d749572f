"use strict";
// Redraws a histogram when its slider is moved. Everything else of the page works without this.
const data = JSON.parse(document.getElementById("charts").textContent);
const HEIGHT = 100;

function unpacked(values) {
  return values.flatMap((value) => (value < 0 ? new Array(-value).fill(0) : [value]));
}

function told(value) {
  const digits = Math.abs(value) >= 1000 || Number.isInteger(value) ? { maximumFractionDigits: 0 }
    : { maximumSignificantDigits: 3 };
  return value.toLocaleString("en", digits);
}

function start(figure) {
  const chart = data.charts[Number(figure.dataset.chart)];
  const free = unpacked(chart.free);
  const held = unpacked(chart.held);
  const steps = free.length;
  const slider = figure.querySelector("input");
  const back = figure.querySelector("button");
  const output = figure.querySelector("output");
  const line = figure.querySelector("line.now");
  const rects = figure.querySelectorAll("rect");
  const isLeast = chart.direction === "min";
  const barWidth = 10;

  const passes = (step, at) => (step >= at) === isLeast;
  const kept = (at) => free.reduce((sum, count, step) => sum + (passes(step, at) ? count : 0), 0);
  const columns = (at) => {
    const found = [];
    for (let first = 0; first < steps; first += data.perBar) {
      const sums = [0, 0, 0];
      for (let step = first; step < first + data.perBar; step += 1) {
        sums[passes(step, at) ? 0 : 1] += free[step];
        sums[2] += held[step];
      }
      found.push(sums);
    }
    return found;
  };
  const sum = (sums) => sums[0] + sums[1] + sums[2];
  const top = Math.sqrt(Math.max(1e-9, ...columns(0).map(sum)));

  const limit = (at) => {
    if (at === chart.position) return chart.threshold;
    const share = at / steps;
    const value = chart.logarithmic
      ? 10 ** (Math.log10(chart.low) + share * (Math.log10(chart.high) - Math.log10(chart.low)))
      : chart.low + share * (chart.high - chart.low);
    if (!chart.whole) return value;
    return isLeast ? Math.ceil(value) : Math.floor(value);
  };

  const draw = () => {
    const at = Number(slider.value);
    columns(at).forEach((sums, column) => {
      let y = HEIGHT;
      sums.forEach((amount, part) => {
        const share = amount ? amount / Math.sqrt(sum(sums)) / top : 0;
        const height = amount ? Math.max(1.2, share * HEIGHT) : 0;
        y -= height;
        const rect = rects[column * 3 + part];
        rect.setAttribute("y", y.toFixed(1));
        rect.setAttribute("height", height.toFixed(1));
      });
    });
    const x = ((at / data.perBar) * barWidth).toFixed(1);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    const now = Math.max(0, Math.round(chart.kept + kept(at) - kept(chart.position)));
    const change = now - chart.kept;
    const sign = change > 0 ? ` (+${told(change)})` : change < 0 ? ` (−${told(-change)})` : "";
    const words = `${isLeast ? "at least" : "at most"} ${told(limit(at))}: ${told(now)} kept${sign}`;
    output.textContent = words;
    slider.setAttribute("aria-valuetext", words);
    back.hidden = at === chart.position;
  };

  slider.hidden = false;
  slider.addEventListener("input", draw);
  back.addEventListener("click", () => {
    slider.value = String(chart.position);
    draw();
    slider.focus();
  });
  slider.setAttribute("aria-valuetext", output.textContent);
}

document.querySelectorAll("figure[data-chart]").forEach(start);
