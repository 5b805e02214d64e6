/* Draws the panels of `sets` (figures.ts) with Chart.js, in the page's colours. */
/* global Chart, sets */
const css = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
const colourOf = (name) => css(name) || css('other')
const SIGNS = ['circle', 'rectRot', 'triangle']

/** What Chart.js does not draw: headings, quartiles, rounds, marks, and the figures themselves. */
const extras = {
  id: 'extras',
  afterDatasetsDraw(chart) {
    const { ctx, scales, chartArea } = chart
    const { set, panel } = chart.options.own
    const x = (value) => scales.x.getPixelForValue(Math.max(value, scales.x.min))
    ctx.save()
    ctx.font = '11.5px system-ui, sans-serif'
    ctx.textBaseline = 'middle'
    for (const [i, line] of panel.lines.entries()) {
      const y = scales.y.getPixelForValue(i)
      if (line.name === undefined) {
        ctx.fillStyle = css('soft')
        ctx.font = '600 11.5px system-ui, sans-serif'
        ctx.fillText(line.label, 0, y + 3)
        ctx.font = '11.5px system-ui, sans-serif'
        continue
      }
      ctx.fillStyle = css('ink')
      ctx.font = `${line.name === 'slipway' ? 650 : 400} 11.5px system-ui, sans-serif`
      ctx.fillText(line.label, 0, y)
      ctx.font = '11.5px system-ui, sans-serif'
      if (line.samples.length > 1) drawRounds(ctx, line, x, y)
      if (set.kind === 'marks') drawMarks(ctx, line, x, y)
      const end = Math.max(...line.values, ...line.samples)
      ctx.fillStyle = line.doubtful ? css('bad') : css('ink')
      // That of several marks has a column of its own.
      ctx.fillText(line.text, set.marks.length > 1 ? chartArea.right + 6 : x(end) + 8, y)
    }
    ctx.restore()
  },
}

function drawRounds(ctx, line, x, y) {
  ctx.strokeStyle = css('ink')
  ctx.globalAlpha = 0.75
  ctx.beginPath()
  ctx.moveTo(x(line.low), y)
  ctx.lineTo(x(line.high), y)
  ctx.stroke()
  ctx.fillStyle = css('ink')
  for (const value of line.samples) {
    ctx.beginPath()
    ctx.arc(x(value), y, 1.6, 0, 2 * Math.PI)
    ctx.fill()
  }
  ctx.globalAlpha = 1
}

function drawMarks(ctx, line, x, y) {
  ctx.fillStyle = ctx.strokeStyle = colourOf(line.name)
  for (const [k, value] of line.values.entries()) {
    Chart.helpers.drawPoint(ctx, { pointStyle: SIGNS[k], radius: k === 0 ? 5 : 4.5 }, x(value), y)
  }
}

/** A bar from 0, or a thin one from the first mark to the last. */
function dataOf(set, { values }) {
  if (values === undefined) return null
  return set.kind === 'bars' ? values[0] : [values[0], values.at(-1)]
}

function draw(canvas) {
  const set = sets[canvas.dataset.set]
  const panel = set.panels[canvas.dataset.panel]
  const isLog = set.kind === 'marks'
  // The same in all panels of a set, so that their axes stand alike.
  const lines = set.panels.flatMap((one) => one.lines)
  const longest = Math.max(...lines.map(({ label, name }) => (name ? label.length : 0)))
  const text = Math.max(...lines.map(({ text = '' }) => text.length))
  new Chart(canvas, {
    type: 'bar',
    data: {
      labels: panel.lines.map(({ label }) => label),
      datasets: [
        {
          data: panel.lines.map((line) => dataOf(set, line)),
          backgroundColor: panel.lines.map(({ name }) => colourOf(name)),
          borderRadius: isLog ? 0 : 3,
          borderSkipped: false,
          barThickness: isLog ? 2 : 13,
        },
      ],
    },
    options: {
      own: { set, panel },
      indexAxis: 'y',
      animation: false,
      maintainAspectRatio: false,
      layout: {
        padding: { left: longest * 6.4 + 12, right: set.marks.length > 1 ? text * 5.8 + 8 : 4 },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          filter: ({ dataIndex }) => panel.lines[dataIndex].name !== undefined,
          callbacks: {
            title: ([item]) => (item ? panel.lines[item.dataIndex].label : ''),
            label: ({ dataIndex }) => toldOf(set, panel.lines[dataIndex]),
          },
        },
      },
      scales: {
        x: {
          type: isLog ? 'logarithmic' : 'linear',
          min: set.min,
          max: set.max,
          grid: { color: css('line') },
          border: { display: false },
          ticks: {
            color: css('soft'),
            font: { size: 10.5 },
            maxTicksLimit: 6,
            maxRotation: 0,
            includeBounds: isLog,
            // Of a scale of powers, the powers only.
            callback: (value) =>
              !isLog || Math.abs(Math.log10(value) % 1) < 1e-9 ? short(value) : undefined,
          },
        },
        y: { display: false, grid: { display: false } },
      },
    },
    plugins: [extras],
  })
}

function toldOf(set, { values, samples }) {
  const figures =
    set.marks.length > 1
      ? set.marks.map((mark, k) => `${mark} ${short(values[k])}`)
      : [short(values[0])]
  const range =
    samples.length > 1
      ? [
          `${short(Math.min(...samples))} to ${short(Math.max(...samples))} in ${samples.length} rounds`,
        ]
      : []
  return [`${figures.join(', ')} ${set.unit}`, ...range]
}

function short(value) {
  if (value === undefined) return '–'
  if (value >= 1e6) return `${value / 1e6} M`
  if (value >= 1e4) return `${Math.round(value / 100) / 10} k`
  return String(Number(value.toPrecision(3)))
}

function drawAll() {
  for (const canvas of document.querySelectorAll('canvas')) {
    Chart.getChart(canvas)?.destroy()
    draw(canvas)
  }
  document.documentElement.dataset.drawn = String(document.querySelectorAll('canvas').length)
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll)
drawAll()
