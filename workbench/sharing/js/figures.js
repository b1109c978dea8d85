// Figures are drawn from their JSON once plotly.js is there; their text takes the colour of the page.
const NARROW = 560; // pixels below which the title of an axis takes two lines
const figures = JSON.parse(document.getElementById("page-figures").textContent);

function drawFigures() {
  const failed = (box) => {
    box.style.minHeight = "0";
    box.replaceChildren(element("p", { class: "failed" }, "This figure cannot be drawn; its numbers are below."));
    box.parentNode.querySelector("details")?.setAttribute("open", "");
  };
  for (const box of document.querySelectorAll("[data-figure]")) {
    const figure = figures[Number(box.dataset.figure)];
    const layout = { ...figure.layout, autosize: true };
    delete layout.width;
    if (box.clientWidth < NARROW && layout.xaxis?.title?.text) {
      const text = layout.xaxis.title.text.replace(" (", "<br>(");
      layout.xaxis = { ...layout.xaxis, title: { ...layout.xaxis.title, text } };
    }
    Promise.resolve()
      .then(() => Plotly.newPlot(box, figure.data, layout, { displaylogo: false, responsive: true, displayModeBar: false }))
      .catch(() => failed(box));
  }
}

drawFigures();
