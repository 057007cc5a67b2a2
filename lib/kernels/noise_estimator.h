// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef SOFTMOD_NOISE_ESTIMATOR_H
#define SOFTMOD_NOISE_ESTIMATOR_H

#include "mixture_likelihood.h"

#include <complex>
#include <cstddef>
#include <optional>
#include <vector>

namespace softmod
{

struct NoiseEstimate {
    double noise_var;    //!< E|n|^2 of the symbols as they came
    double gain;         //!< level of the symbols: y = gain * s + n with E|s|^2 = 1
    double esn0_db;      //!< 10 log10(gain^2 / noise_var)
    double std_db;       //!< standard error of esn0_db, from the Fisher information
    std::size_t symbols; //!< how many of the most recent symbols were used
};

/*! Blind estimate of gain and noise variance of symbols of any constellation.
 *
 * Maximum likelihood: y = gain * s + n with s equiprobable over the points and n complex white Gaussian.
 * Decisions are never taken, so nothing is biased where decisions fail. The likelihood is climbed by Fisher
 * scoring (the information taken from the products of the slopes) from the best of a coarse grid of Es/N0 and
 * of the estimate before; where a step does not climb, a step of expectation maximisation does. Phase is not
 * estimated: what a carrier loop leaves counts as noise.
 *
 * The estimate starts from a few of the most recent symbols and takes more until its standard error is what
 * was asked or max_symbols is reached: dense constellations at low Es/N0 need tens of thousands, clear ones a
 * thousand.
 *
 * Not thread-safe. Source: R. A. Fisher's method of scoring; the model is that of W. Gappmair, "Cramer-Rao
 * lower bound for non-data-aided SNR estimation of linear modulation schemes", IEEE Trans. Commun. 56 (2008).
 */
class NoiseEstimator
{
public:
    /*! \param points constellation, scaled here to E|s|^2 = 1
     *  \param max_symbols most symbols remembered, at least 64
     *  \param accuracy_db standard error of Es/N0 in dB at which no more symbols are taken; 0: always take
     * all \throws std::invalid_argument with one sentence
     */
    explicit NoiseEstimator(const std::vector<std::complex<float>>& points, std::size_t max_symbols = 32768,
                            double accuracy_db = 0.1);

    //! Remembers symbols, the most recent max_symbols of them. Returns how many were not finite: those are
    //! left out.
    std::size_t push(const std::complex<float>* symbols, std::size_t n, std::size_t stride = 1);

    //! Nothing while fewer than 64 symbols are remembered or all of them are 0.
    std::optional<NoiseEstimate> estimate();

    //! Forgets all symbols.
    void clear() { d_re.clear(), d_im.clear(), d_before_r = 0, d_before_symbols = 0; }

    std::size_t max_symbols() const { return d_max_symbols; }

private:
    struct Parameters;
    MixtureLikelihood::Sums evaluate(std::size_t n, double scale, const Parameters& at) const;
    Parameters coarse(std::size_t n, double scale) const;
    static Parameters em_step(std::size_t n, const Parameters& at, const MixtureLikelihood::Sums& sums);
    double climb(std::size_t n, double scale, Parameters& at) const;

    MixtureLikelihood d_likelihood;
    std::size_t d_max_symbols;
    double d_accuracy_db;
    double d_before_r = 0; // where the estimate before ended, and how many symbols the next may need
    std::size_t d_before_symbols = 0;
    std::vector<float> d_re, d_im; // oldest first; grow to twice max_symbols, then the older half goes
};

} // namespace softmod

#endif
