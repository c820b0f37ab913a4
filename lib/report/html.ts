import { escapeXml } from '../escape.js'

/** Text that is HTML and needs no escaping. */
export class Html {
  constructor(readonly text: string) {}
}

type Part = string | number | Html | null | undefined | false | readonly Part[]

const render = (part: Part): string => {
  if (part instanceof Html) return part.text
  if (part === null || part === undefined || part === false) return ''
  if (typeof part === 'object') return part.map(render).join('')
  return escapeXml(String(part))
}

/** A template that escapes values unless they are HTML; lists are joined, `null` and `false` are empty. */
export const html = (strings: TemplateStringsArray, ...values: Part[]): Html =>
  new Html(strings.map((string, i) => string + render(values[i])).join(''))

/** JSON that is safe inside a script element. */
export const embedJson = (value: unknown): Html => new Html(JSON.stringify(value).replaceAll('<', '\\u003c'))

/** A table with headings; numbers are right-aligned. */
export function table(headings: readonly (string | Html)[], rows: readonly (readonly Part[])[]): Html {
  const kind = (cell: Part) => (typeof cell === 'number' ? html` class="number"` : '')
  const numeric = headings.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'))
  return html`<div class="table"><table>
${headings.some(Boolean) && html`<thead><tr>${headings.map((heading, i) => html`<th scope="col"${numeric[i] ? html` class="number"` : ''}>${heading}</th>`)}</tr></thead>`}
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td${kind(cell)}>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`
}
