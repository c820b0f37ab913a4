import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitepress'
import { resolveLinks } from './links.js'
import { writeLlms } from './llms.js'
import { sidebar } from './sidebar.js'
import { slug } from './slug.js'

const pages = sidebar()

export default defineConfig({
  title: 'mactok',
  description: 'Continuous one-dimensional image tokenizers and the generators on their latents, for Node and Electron',
  lang: 'en',
  // Where the site is not at the root of its host: MACTOK_DOCS_BASE=/mactok/
  base: process.env.MACTOK_DOCS_BASE ?? '/',
  outDir: '../.build/site',
  cacheDir: '../.build/site-cache',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  // The anchors of GitHub, where the same pages are read.
  markdown: { anchor: { slugify: slug }, headers: { slugify: slug }, config: resolveLinks },
  // The style knows drawings by their files' names.
  vite: { build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 4000 } },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: pages,
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'Guide', link: '/guide' },
      { text: 'CLI', link: '/reference/cli/' },
      { text: 'API', link: '/api' }
    ]
  },
  buildEnd(site) {
    writeLlms(pages, site)
    // Figures that pages link to instead of showing them, and those of the pages' Markdown.
    cpSync(join(site.srcDir, 'figures'), join(site.outDir, 'figures'), { recursive: true })
  }
})
