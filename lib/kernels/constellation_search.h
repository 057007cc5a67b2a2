// SPDX-License-Identifier: GPL-3.0-or-later
// Which of several constellations timed symbols are of.
#pragma once

#include "symbol_recovery.h"

#include <complex>
#include <cstddef>
#include <string>
#include <vector>

namespace softmod
{

struct CandidateConstellation {
    std::string name;
    std::vector<std::complex<float>> points; // by label, E|s|^2 = 1
};

// Carrier, amplitude and noise are fitted under each candidate, and the likelihoods of the fits compared: the
// generalised likelihood ratio test, which needs nothing but the symbols. What is known otherwise (a
// classifier) comes in as log-probabilities, which a window of a thousand symbols outweighs unless it leaves
// the matter open. Source: F. Hameed, O. A. Dobre, D. C. Popescu, "On the likelihood-based approach to
// modulation classification", IEEE Trans. Wireless Commun. 8 (2009).
class ConstellationSearch
{
public:
    using Complex = std::complex<float>;
    static constexpr std::size_t NONE = static_cast<std::size_t>(-1);

    // At least one candidate, with names of their own. Throws std::invalid_argument.
    // loop_bandwidth: of the prototypes.
    explicit ConstellationSearch(const std::vector<CandidateConstellation>& candidates,
                                 double loop_bandwidth = 0.01);

    struct Result {
        std::size_t best = NONE;   // candidate; NONE: no carrier, or noise explains the symbols better
        double log_likelihood = 0; // of the best, above that of Gaussian noise; nats a symbol
        double margin = 0;         // log-posterior of the best above the next one's; nats
    };
    // n: a power of two, 64 or more; symbols are finite.
    Result search(const Complex* symbols, std::size_t n) const;

    // Natural logarithms of the candidates' probabilities before any symbol is looked at; minus infinity
    // rules one out. Throws std::invalid_argument.
    void set_log_priors(const std::vector<double>& log_priors);

    std::size_t size() const { return d_names.size(); }
    const std::string& name(std::size_t candidate) const { return d_names[candidate]; }
    // A recovery of this constellation that has seen no symbol yet: copying it is cheap, making one is not.
    const SymbolRecovery& prototype(std::size_t candidate) const { return d_fits[candidate]; }
    const std::vector<Complex>& points(std::size_t candidate) const { return d_points[candidate]; }

private:
    std::vector<std::string> d_names;
    std::vector<std::vector<Complex>> d_points;
    std::vector<SymbolRecovery> d_fits;
    std::vector<double> d_log_priors;
};

} // namespace softmod
