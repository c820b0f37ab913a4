import { expect, test } from '@jest/globals'
import { FileList } from '../../lib/data/file-list.js'

test('names and places of files come back, whatever folders they are in', () => {
  const list = new FileList((name) => `/images/${name}`)
  const names = ['top.png', 'a/1.png', 'a/22.png', 'a/b/3.png', 'a/4.png', 'größe/😀.png', 'größe/x.png']
  const place = Buffer.from('/images/gr\xf6\xdfe/x.png', 'latin1')
  list.add(names.slice(0, 1).map((name) => ({ name, place: name })))
  list.add([])
  list.add(names.slice(1).map((name) => ({ name, place: name === 'größe/x.png' ? place : name })))
  expect(list.size).toBe(names.length)
  expect(names.map((_, i) => list.name(i))).toEqual(names)
  expect(list.place(3)).toBe('/images/a/b/3.png')
  expect(list.place(6)).toBe(place)
})
