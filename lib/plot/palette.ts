/** Okabe and Ito's palette and two more: distinguishable by colour-blind readers, on white and on black. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#56b4e9', '#8c564b', '#7f7f7f']
const dashes = ['', '7 3', '2 3']

export interface Stroke {
  colour: string
  /** As in `stroke-dasharray`; empty: solid. */
  dash: string
}

/** The stroke of the curve at a position, the same in every chart: colours first, then dashes. */
export const strokeOf = (index: number): Stroke => ({
  colour: colours[index % colours.length] as string,
  dash: dashes[Math.floor(index / colours.length) % dashes.length] as string
})
