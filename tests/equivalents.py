"""Mutants of gradient rules that say the same as the original, each with its reason."""

from __future__ import annotations

# (rule or function, original, mutant). They are tried as all others are, and one that is killed after all has no
# place here.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "arithmetic._pow_dx1",
        "if not hasattr(x2, 'dtype'):",
        "if False:",
    ): "the general way gives the same for a number, in more steps",
    (
        "arithmetic._pow_dx1",
        "if x2 == 2:",
        "if False:",
    ): "the general way gives the same, a hundred times slower",
    (
        "arithmetic._pow_dx1",
        "return g * x2 * where(flat, 1.0, x1) ** (x2 - 1)",
        "return g * x2 * where(flat, 2.0, x1) ** (x2 - 1)",
    ): "any number but 0 will do: it is multiplied by an exponent of 0",
    (
        "activation._elu_dx",
        "return g * (above + (1 - above) * (alpha * exp(clip(x, None, 0.0))))",
        "return g * (above + (1 - above) * (alpha * exp(clip(x, None, 1.0))))",
    ): "any bound that keeps exp finite will do: above 0 it is multiplied by 0",
    (
        "elementwise.abs.x",
        "g * sign(conj(x)) if x.dtype.kind == 'c' else g * sign(x)",
        "g * sign(conj(x))",
    ): "a real number is its conjugate",
    (
        "elementwise._sign_dx",
        "if x.dtype.kind != 'c':",
        "if False:",
    ): "for real x the part of g across x is (g - g) / 2",
    (
        "elementwise.maximum.x2",
        "g * share_of(x1, x2, out)[1]",
        "g * share_of(x1, out, x2)[1]",
    ): "where x2 is out, x1 ties with out when it ties with x2; elsewhere the share is 0 both ways",
    (
        "elementwise.minimum.x2",
        "g * share_of(x1, x2, out)[1]",
        "g * share_of(x1, out, x2)[1]",
    ): "as for maximum",
    (
        "elementwise.share_of",
        "total = total + astype(total == 0.0, out.dtype)",
        "total = total - astype(total == 0.0, out.dtype)",
    ): "0 divided by -1 is 0, as by 1",
    (
        "factorization._slogdet_joint",
        "if x.dtype.kind == 'c':",
        "if True:",
    ): "a real sign adds an imaginary part of 0, which the sweep drops",
    ("factorization._eigh_joint", "if v.dtype.kind == 'c':", "if True:"): "real vectors have no phases to refuse",
    ("matrices._matrix_exp_dx", "n = x.shape[-1]", "n = x.shape[-2]"): "the matrix is square",
    (
        "factorization._det_dx",
        "return g[..., None, None] * _cofactors(x, n, min(rank, n - 1))",
        "return g[..., None, None] * _cofactors(x, n, min(rank, n - 2))",
    ): "the matrix may be split anywhere up to its rank: a larger polynomial part is slower",
    (
        "factorization._cofactors",
        "det_s = trace(matmul(s, s_adj)) / (n - rank)",
        "det_s = trace(matmul(s_adj, s)) / (n - rank)",
    ): "the trace of two factors in any order",
    (
        "factorization._adjugate",
        "product = matmul(x, result)",
        "product = matmul(result, x)",
    ): "a matrix commutes with its powers",
    (
        "factorization.conjugate",
        "return conj(x) if x.dtype.kind == 'c' else x",
        "return conj(x)",
    ): "conj of a real array is a copy",
    (
        "indexing._setitem_dvalue",
        "if source.size == places.size:",
        "if False:",
    ): "where no place is named twice, all values stand",
    (
        "products._matmul_dx2",
        "if len(x2_shape) == 2 < len(x1.shape):",
        "if False:",
    ): "the sweep sums a stack of products to the same, in half as long again",
    (
        "products._matmul_dx2",
        "x1, g = (reshape(each, (prod(each.shape[:-1]), each.shape[-1])) for each in (x1, g))",
        "x1, g = (each for each in (x1, g))",
    ): "as for the line before",
    (
        "attention._attention_joint",
        "d_query, d_key, d_value = attention_back(*given) if any(needed[:3]) else (None,) * 3",
        "d_query, d_key, d_value = attention_back(*given)",
    ): "a gradient that nobody asked for is dropped by the sweep",
    (
        "attention._attention_joint",
        "d_query, d_key, d_value = attention_back(*given) if any(needed[:3]) else (None,) * 3",
        "d_query, d_key, d_value = attention_back(*given) if any(needed[:4]) else (None,) * 3",
    ): "as for the line before",
    (
        "attention._attention_joint",
        "d_bias, d_keep = attention_mask_back(*given) if any(needed[3:]) else (None, None)",
        "d_bias, d_keep = attention_mask_back(*given)",
    ): "as for the other three",
    (
        "products._linear_dx",
        "d_rows = matmul(_as_rows(g), weight)",
        "d_rows = matmul(g, weight)",
    ): "a stack of products is the same, and slower than one of all rows",
    (
        "products._linear_dx",
        "return d_rows if len(x_shape) == 2 else reshape(d_rows, tuple(x_shape))",
        "return reshape(d_rows, tuple(x_shape))",
    ): "rows have that shape already",
    (
        "products._as_rows",
        "return x if len(x.shape) == 2 else reshape(x, (prod(x.shape[:-1]), x.shape[-1]))",
        "return reshape(x, (prod(x.shape[:-1]), x.shape[-1]))",
    ): "as for the line before",
    (
        "products._as_rows",
        "return x if len(x.shape) == 2 else reshape(x, (prod(x.shape[:-1]), x.shape[-1]))",
        "return x if len(x.shape) == 3 else reshape(x, (prod(x.shape[:-1]), x.shape[-1]))",
    ): "a stack of matrices is multiplied matrix by matrix, and the sweep sums it",
    (
        "products._einsum_part",
        "if len(reachable) == len(wanted):",
        "if False:",
    ): "where no letter is missing, the shape is right already",
    (
        "reduction.spread",
        "return g if keepdims else reshape(g, kept_shape(shape, axis))",
        "return reshape(g, kept_shape(shape, axis))",
    ): "with keepdims g has that shape already",
    (
        "reduction._mean_dx",
        "return broadcast_to(spread(g / (count(x_shape, axis) or 1), axis, keepdims, x_shape), x_shape)",
        "return broadcast_to(spread(g / (count(x_shape, axis) or 2), axis, keepdims, x_shape), x_shape)",
    ): "the gradient of no elements is empty, whatever it is divided by",
    (
        "reduction._tied",
        "ties = ties + astype(ties == 0.0, ties.dtype)",
        "ties = ties - astype(ties == 0.0, ties.dtype)",
    ): "0 divided by -1 is 0, as by 1",
    (
        "reduction._prod_dx",
        "if len(axes) == 1:",
        "if False:",
    ): "several axes made one, of which there is one",
    (
        "numerical._convolve_d",
        "whole = add_at(g, (slice(*_window(n, m, mode)),), (n + m - 1,))",
        "whole = add_at(g, (slice(*_window(m, n, mode)),), (n + m - 1,))",
    ): "what a mode keeps does not depend on which vector is first",
    (
        "numerical._convolve_d",
        "return convolve_vectors(whole, flip(other), 'valid')",
        "return convolve_vectors(flip(other), whole, 'valid')",
    ): "convolution commutes",
    (
        "scan._cumulative_prod_dx",
        "return zeros_like(x)",
        "return x",
    ): "x is empty there",
    (
        "scan._from_the_end",
        "for doubling in range((n - 1).bit_length()):",
        "for doubling in range((1 - n).bit_length()):",
    ): "a number has as many bits as its negative",
    (
        "scan._from_the_end",
        "if 2 * d < n:",
        "if 2 * d <= n:",
    ): "where they are equal the factors left are none",
    (
        "scan._running_logsumexp_dx",
        "if not out.shape[axis]:",
        "if False:",
    ): "NumPy takes slices of empty arrays, which the strict library does not",
    (
        "scan._running_logsumexp_dx",
        "return g",
        "return -g",
    ): "g is empty there",
    (
        "shape._concat_joint",
        "gradients.append(g[tuple(key)] if is_needed else None)",
        "gradients.append(g[tuple(key)])",
    ): "a gradient that nobody asked for is dropped by the sweep",
    (
        "scatter._largest_of_segments_dx",
        "ties = ties + astype(ties == 0.0, ties.dtype)",
        "ties = ties - astype(ties == 0.0, ties.dtype)",
    ): "0 divided by -1 is 0, as by 1",
}
