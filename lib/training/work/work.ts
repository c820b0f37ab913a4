import type { Cost } from './transformer.js'

/** What training one network needs, independent of the machine. */
export interface Work {
  /** Parameters that train, and those of them that are averaged. */
  trained: number
  averaged: number
  /** Parameters of frozen networks. */
  frozen: number
  /** FLOPs of one sample in a step. */
  flops: number
  /** Bytes that operations between products read and write for one sample in a step. */
  traffic: number
  /** Bytes of activations of one sample where they are most. */
  activations: number
  /** Operations that the host launches in a forward and backward pass, as `scripts/count-launches.mjs` counts them. */
  launches: number
}

/** A backward pass computes the gradients of inputs and of weights: twice the products of the forward pass. */
export const backwardPasses = 2

/**
 * Bytes that operations between products move in a training step: the forward pass reads and writes each element, and the
 * backward pass reads two and writes one.
 */
export const trafficOf = ({ elements }: Cost, bytes: number, passes = 5): number => passes * bytes * elements
