// Tables whose rows stay where they are while numbers change. What an event says is text, never markup.

export function fill(table, columns, rows) {
  if (!table.tHead) {
    const head = table.createTHead().insertRow();
    for (const { title, number } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = title;
      if (number) cell.className = "n";
      head.append(cell);
    }
    table.createTBody();
  }
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((row, place) => {
    const line = body.rows[place] ?? body.insertRow();
    columns.forEach(({ of, number, head }, column) => {
      let cell = line.cells[column];
      if (!cell) {
        cell = document.createElement(head ? "th" : "td");
        if (head) cell.scope = "row";
        if (number) cell.className = "n";
        line.append(cell);
      }
      const text = String(of(row));
      if (cell.textContent !== text) { cell.textContent = text; cell.title = number ? "" : text; }
    });
    line.dataset.mark = row.mark ?? "";
  });
}
