// SPDX-License-Identifier: GPL-3.0-or-later
// Depthwise convolutions.
// Included by qnet_kernels-inl.h: no include guard, no includes, no namespace of its own.

// ---- depthwise convolutions
//
// They read `turned` bytes (qnet_layout.h): the four bytes of a lane are four times of one channel. Four rows
// of the result are worked together, each with the weights shifted to where it reads. A vector of lanes is
// any part of the flat sequence of channels, four rows after four rows.

// From rows of one or two channels, whose four rows are as many bytes as a word.
template <typename Word>
void TurnNarrow(const Step& step, const std::uint8_t* in, std::size_t fours, std::uint8_t* out)
{
    const std::size_t stride = step.stride, plane = plane_bytes(step);
    HWY_ALIGN std::uint8_t turned[kBytes];
    for (std::size_t left = fours, place = 0, skipped = 0; left > 0; in += kBytes) {
        const VB rows = hn::LoadU(DB(), in);
        hn::Store(sizeof(Word) == 8 ? hn::TableLookupBytes(rows, TurnPairs()) : rows, DB(), turned);
        const std::size_t count = std::min(left, kBytes / sizeof(Word));
        for (std::size_t i = 0; i < count; ++i) {
            std::memcpy(out + skipped * plane + place, turned + i * sizeof(Word), sizeof(Word));
            if (++skipped == stride) {
                skipped = 0;
                place += sizeof(Word);
            }
        }
        left -= count;
    }
}

// From rows of more. Writes behind each four rows: planes in order, so that the next four put their own
// there.
void TurnWide(const Step& step, const std::uint8_t* in, std::size_t fours, std::uint8_t* out)
{
    const hn::Full128<std::uint8_t> d;
    const hn::Full128<std::uint16_t> d16;
    const std::size_t channels = step.channels, width = filled(channels);
    for (std::size_t plane = 0; plane < step.stride; ++plane, out += plane_bytes(step)) {
        std::uint8_t* to = out;
        for (std::size_t four = plane; four < fours; four += step.stride, to += 4 * width)
            for (std::size_t c = 0; c < channels; c += 16) {
                const std::uint8_t* row = in + 4 * four * channels + c;
                const auto a = hn::LoadU(d, row), b = hn::LoadU(d, row + channels);
                const auto e = hn::LoadU(d, row + 2 * channels), f = hn::LoadU(d, row + 3 * channels);
                const auto ab0 = hn::BitCast(d16, hn::InterleaveLower(d, a, b));
                const auto ab1 = hn::BitCast(d16, hn::InterleaveUpper(d, a, b));
                const auto ef0 = hn::BitCast(d16, hn::InterleaveLower(d, e, f));
                const auto ef1 = hn::BitCast(d16, hn::InterleaveUpper(d, e, f));
                hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d16, ab0, ef0)), d, to + 4 * c);
                hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d16, ab0, ef0)), d, to + 4 * c + 16);
                hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d16, ab1, ef1)), d, to + 4 * c + 32);
                hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d16, ab1, ef1)), d, to + 4 * c + 48);
            }
    }
}

// Turned already: only into planes. Writes behind each four rows, as above.
void SortTurned(const Step& step, const std::uint8_t* in, std::size_t fours, std::uint8_t* out)
{
    const std::size_t bytes = 4 * filled(step.channels);
    for (std::size_t plane = 0; plane < step.stride; ++plane, out += plane_bytes(step)) {
        std::uint8_t* to = out;
        for (std::size_t four = plane; four < fours; four += step.stride, to += bytes)
            for (std::size_t i = 0; i < bytes; i += kBytes)
                hn::StoreU(hn::LoadU(DB(), in + four * bytes + i), DB(), to + i);
    }
}

void Turn(const Step& step, const std::uint8_t* in, std::uint8_t* out)
{
    const std::size_t fours = (step.lead + (step.rows - 1) * step.stride + step.kernel + 3) / 4;
    if (step.in_layout == Layout::turned)
        SortTurned(step, in, fours, out);
    else if (step.channels == 1)
        TurnNarrow<std::uint32_t>(step, in, fours, out);
    else if (step.channels == 2)
        TurnNarrow<std::uint64_t>(step, in, fours, out);
    else
        TurnWide(step, in, fours, out);
}

// A vector of lanes from `lane` on, as Round() leaves them, to rows.
HWY_NOINLINE void StoreLanesToRows(const Step& step, const std::uint8_t* HWY_RESTRICT bytes, std::size_t lane,
                                   std::uint8_t* out)
{
    const std::size_t channels = step.channels, width = filled(channels), fours = (step.rows + 3) / 4;
    if (channels == 1 || channels == 2 || channels == 4) { // rows without a gap: as flat as the lanes
        VB all = hn::Load(DB(), bytes);
        if (channels < 4)
            all = hn::TableLookupBytes(all, channels == 1 ? TurnFours() : UnturnPairs());
        StoreBytes(all, out + 4 * lane, std::min(kBytes, step.rows * channels - 4 * lane));
        return;
    }
    for (std::size_t i = lane; i < std::min(lane + kLanes, fours * width); i += 4, bytes += 16) {
        const std::size_t row = i / width * 4, c = i % width;
        for (std::size_t r = 0; r < std::min<std::size_t>(4, step.rows - row); ++r)
            std::memcpy(out + (row + r) * channels + c, bytes + 4 * r,
                        std::min<std::size_t>(4, channels - c));
    }
}

// kPlaces vectors of lanes, each a pattern's length behind the one before: they share the weights.
template <std::size_t kPlaces>
HWY_INLINE void DepthwiseTile(const Step& step, const PackedLanes& lanes, const Range& to,
                              const std::uint8_t* planes, std::size_t lane, std::uint8_t* out)
{
    const std::size_t pattern = step.lanes.size() * kLanes;
    const std::uint8_t* HWY_RESTRICT in = planes + 4 * lane;
    VI sum[kPlaces][4];
    const VI start = hn::Load(DI(), lanes.start.data());
    Each<kPlaces>([&](auto p) SOFTMOD_ATTR { Each<4>([&](auto r) SOFTMOD_ATTR { sum[p][r] = start; }); });
    for (const auto& turn : lanes.turns) {
        const std::int8_t* HWY_RESTRICT weight = lanes.weight.data() + turn.weight;
        Input input[kPlaces];
        Each<kPlaces>([&](auto p) SOFTMOD_ATTR {
            input[p] = Prepare(hn::LoadU(DB(), in + turn.at + 4 * p * pattern));
        });
        Each<4>([&](auto r) SOFTMOD_ATTR {
            if (!turn.reads[r])
                return;
            Each<kPlaces>([&](auto p) SOFTMOD_ATTR { sum[p][r] = Dot(sum[p][r], input[p], weight); });
            weight += kWeightBytes;
        });
    }
    const auto store = [&](auto fused) SOFTMOD_ATTR {
        Each<kPlaces>([&](auto p) SOFTMOD_ATTR {
            const auto scaled = [&](auto r) SOFTMOD_ATTR {
                return Scaled<fused>(sum[p][r], lanes.scale.data(), lanes.offset.data());
            };
            const VB bytes = RoundFour(scaled, to);
            const std::size_t at = lane + p * pattern;
            if (step.out_layout == Layout::blocks) {
                StoreBytes(bytes, out + 4 * at, std::min(kBytes, step.rows * filled(step.channels) - 4 * at));
            } else {
                HWY_ALIGN std::uint8_t all[kBytes];
                hn::Store(bytes, DB(), all);
                StoreLanesToRows(step, all, at, out);
            }
        });
    };
    if (lanes.fused)
        store(std::true_type());
    else
        store(std::false_type());
}

void Depthwise(const Step& step, std::uint8_t* arena)
{
    constexpr std::size_t kPlaces = kManyRegisters ? 4 : 2;
    const std::uint8_t* planes = arena + step.in;
    if (step.scratch != 0) {
        Turn(step, planes, arena + step.scratch);
        planes = arena + step.scratch;
    }
    std::uint8_t* out = arena + step.out;
    const Range to(step.to);
    const std::size_t all = (step.rows + 3) / 4 * filled(step.channels), pattern = step.lanes.size() * kLanes;
    for (std::size_t i = 0; i < step.lanes.size(); ++i) {
        std::size_t lane = i * kLanes;
        for (; lane + (kPlaces - 1) * pattern < all; lane += kPlaces * pattern)
            DepthwiseTile<kPlaces>(step, step.lanes[i], to, planes, lane, out);
        for (; lane < all; lane += pattern)
            DepthwiseTile<1>(step, step.lanes[i], to, planes, lane, out);
    }
}
