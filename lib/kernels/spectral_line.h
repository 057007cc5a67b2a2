// SPDX-License-Identifier: GPL-3.0-or-later
// A line in spectra of noise.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

struct SpectralLine {
    double bin = 0;     // of the peak, to a fraction; may lie outside [0, N) where the range did
    double power = 0;   // over the mean of what surrounds it
    bool clear = false; // noise alone has none as strong but with the probability asked for
};

// Powers of one or more spectra of one length, summed, whose bins are exponentially distributed but for
// lines.
class LineSearch
{
public:
    explicit LineSearch(std::size_t bins) : d_power(bins) {}

    void add(const std::vector<std::complex<float>>& spectrum);

    // The strongest line from bin `first` to bin `last` (the spectrum is a circle), over the median of the
    // 257 bins around it, or over `least`, the least power that a sum of spectra may have there. Its place is
    // that of the peak of a parabola through three magnitudes unless the caller knows better.
    SpectralLine strongest(double first, double last, double false_alarm, double least = 0) const;

    // Once more, of a single spectrum without a window, from the complex values at the peak. Source: E.
    // Jacobsen, P. Kootsookos, "Fast, accurate frequency estimators", 2007, eq. 3.
    static double fraction(const std::vector<std::complex<float>>& spectrum, std::size_t peak);

private:
    double background(std::ptrdiff_t bin) const;
    double at(std::ptrdiff_t bin) const;

    std::vector<double> d_power;
    unsigned d_spectra = 0;
};

} // namespace softmod
