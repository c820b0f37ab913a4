/** Limit on classes: a generator has a row of weights for each. ImageNet-21k has 21,841. */
export const maxClasses = 1_000_000
