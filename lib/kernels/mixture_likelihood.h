// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef SOFTMOD_MIXTURE_LIKELIHOOD_H
#define SOFTMOD_MIXTURE_LIKELIHOOD_H

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

/*! Log-likelihood of symbols of unknown label in white noise, and its slopes.
 *
 * y = gain * s + n, s equiprobable over the points, E|n|^2 = noise_var:
 *
 *     ln p(y) = ln sum_s exp(-|y - gain * s|^2 / noise_var) - ln(noise_var)   (+ a constant)
 *
 * A constellation that is a product of its I and Q levels (QAM, PAM, BPSK, QPSK) costs the sum of the two
 * numbers of levels an evaluation of a symbol, any other the number of points.
 */
class MixtureLikelihood
{
public:
    //! Sums over symbols; p stands for ln(gain^2 + noise_var), r for ln(gain^2 / noise_var). The power p
    //! hardly depends on what the noise is, so in these two the likelihood has no curved ridge.
    struct Sums {
        double log_likelihood = 0;
        double slope_p = 0, slope_r = 0; //!< sums of the slopes d ln p(y) / dp and / dr
        double square_pp = 0, square_pr = 0,
               square_rr = 0; //!< sums of the products of the slopes: the information
    };

    //! \param points finite, at least two
    explicit MixtureLikelihood(const std::vector<std::complex<float>>& points);

    //! Symbols are (re[i] + j im[i]) * scale, i < n, all finite.
    Sums evaluate(const float* re, const float* im, std::size_t n, double scale, double p, double r) const;

    //! Exponentials one symbol costs.
    std::size_t cost() const { return d_i.size() + (d_separable ? d_q.size() : 0); }

private:
    bool d_separable;
    std::vector<float> d_i, d_q; // levels of the axes when separable, else the coordinates of each point
};

} // namespace softmod

#endif
