// SPDX-License-Identifier: GPL-3.0-or-later
// Every instruction set gives the plain form's logits to the last bit; the plain form is tested against the
// reference in numpy by tests/test_kernels_classifier.py.
#include "classifier.h"
#include "frame_features.h"
#include "qnet.h"
#include "simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace softmod
{
namespace
{

// A chain of random nodes: iq, what `ops` names, and the logits.
class RandomModel
{
public:
    explicit RandomModel(unsigned seed) : d_random(seed) {}

    int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(d_random); }

    Model make(const std::vector<Op>& ops)
    {
        d_model.frame_length = static_cast<std::size_t>(pick(150, 400));
        add(Op::iq).scale = {40.0f};
        for (const auto op : ops)
            op == Op::add ? side_and_add() : next(op);
        return finish();
    }

    // Depthwise and pointwise convolutions, additions between some, whose lengths are multiples of 4.
    Model make_separable()
    {
        d_model.frame_length = static_cast<std::size_t>(16 * pick(8, 20));
        add(Op::iq).scale = {40.0f};
        for (int block = 0; block < 4; ++block) {
            auto& depthwise = add(Op::conv);
            depthwise.groups = depthwise.channels;
            depthwise.kernel = static_cast<std::size_t>(pick(1, 30));
            depthwise.stride = depthwise.length % 8 == 0 ? static_cast<std::size_t>(pick(1, 2)) : 1;
            depthwise.left = static_cast<std::size_t>(pick(0, static_cast<int>(depthwise.kernel) - 1));
            depthwise.length /= depthwise.stride;
            depthwise.right = (depthwise.length - 1) * depthwise.stride + depthwise.kernel - depthwise.left;
            depthwise.right -= std::min(depthwise.right, input_of(depthwise).length);
            weigh(depthwise, depthwise.kernel);
            auto& pointwise = add(Op::conv);
            pointwise.channels = static_cast<std::size_t>(pick(1, 80));
            weigh(pointwise, input_of(pointwise).channels);
            if (pick(0, 1))
                side_and_add();
        }
        if (pick(0, 1))
            next(pick(0, 1) ? Op::global_avg_pool : Op::avg_pool);
        return finish();
    }

private:
    Model finish()
    {
        auto& last = add(Op::dense);
        last.gives_logits = true;
        last.channels = static_cast<std::size_t>(pick(1, 70));
        last.has_time = false;
        last.length = 1;
        weigh(last, input_of(last).channels * input_of(last).length);
        d_model.class_names.assign(last.channels, "class");
        return std::move(d_model);
    }

    const ModelNode& input_of(const ModelNode& node) const { return d_model.nodes[node.inputs[0]]; }

    // Reads the last one and has its shape.
    ModelNode& add(Op op)
    {
        ModelNode node;
        node.op = op;
        node.name = "n" + std::to_string(d_model.nodes.size());
        node.channels = 2;
        node.length = d_model.frame_length;
        if (op != Op::iq) {
            node.inputs = {d_model.nodes.size() - 1};
            node.channels = d_model.nodes.back().channels;
            node.length = d_model.nodes.back().length;
        }
        node.has_time = true;
        const int bits = pick(3, 8);
        const bool is_signed = op == Op::iq || pick(0, 1) == 1;
        node.high = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
        node.low = is_signed ? -node.high : 0;
        if (op == Op::max_pool || op == Op::global_max_pool) {
            node.low = d_model.nodes.back().low;
            node.high = d_model.nodes.back().high;
        }
        d_model.nodes.push_back(node);
        return d_model.nodes.back();
    }

    void weigh(ModelNode& node, std::size_t depth)
    {
        const int most = pick(1, 127);
        node.weight.resize(node.channels * depth);
        for (auto& weight : node.weight)
            weight = static_cast<std::int8_t>(pick(0, 3) == 0 ? 0 : pick(-most, most));
        std::normal_distribution<float> normal;
        const float reach = 60.0f * static_cast<float>(most) * std::sqrt(static_cast<float>(depth));
        for (std::size_t c = 0; c < node.channels; ++c) {
            node.scale.push_back(100.0f / reach * (1.0f + 0.3f * normal(d_random)));
            node.offset.push_back(20.0f * normal(d_random));
        }
    }

    void next(Op op)
    {
        auto& node = add(op);
        const bool is_global = op == Op::global_avg_pool || op == Op::global_max_pool;
        if (op == Op::conv) {
            const int kind = pick(0, 2); // one group, depthwise, two groups
            const std::size_t in = node.channels;
            node.groups = kind == 1 ? in : (kind == 2 && in % 2 == 0 ? 2 : 1);
            if (kind != 1)
                node.channels = node.groups * static_cast<std::size_t>(pick(1, 90));
            node.left = static_cast<std::size_t>(pick(0, 6));
            node.right = static_cast<std::size_t>(pick(0, 6));
        }
        if (is_global) {
            node.length = 1;
            node.has_time = false;
        } else {
            const auto padded = node.length + node.left + node.right;
            node.kernel = std::min<std::size_t>(padded, static_cast<std::size_t>(pick(1, 12)));
            node.stride = static_cast<std::size_t>(pick(1, 3));
            if (op != Op::conv && pick(0, 1) && padded >= 2)
                node.kernel = node.stride = 2;
            node.length = (padded - node.kernel) / node.stride + 1;
        }
        if (op == Op::conv)
            weigh(node, input_of(node).channels / node.groups * node.kernel);
        if (op == Op::avg_pool || op == Op::global_avg_pool) {
            node.scale = {1.0f / static_cast<float>(is_global ? input_of(node).length : node.kernel)};
            node.offset = {0.25f};
        }
    }

    void side_and_add()
    {
        auto& side = add(Op::conv);
        const auto before = side.inputs[0];
        weigh(side, side.channels);
        auto& sum = add(Op::add);
        sum.inputs.push_back(before);
        sum.scale = {0.7f, 0.4f};
    }

    std::mt19937 d_random;
    Model d_model;
};

struct Set {
    std::string target;
    bool dot;
};

std::vector<Set> sets()
{
    std::vector<Set> all;
    for (const auto& target : simd_targets()) {
        all.push_back({target, true});
        all.push_back({target, false});
    }
    return all;
}

class Qnet : public testing::TestWithParam<Set>
{
protected:
    void SetUp() override
    {
        use_simd_target(GetParam().target);
        use_simd_dot_products(GetParam().dot);
    }
    void TearDown() override
    {
        use_simd_target(simd_targets().front());
        use_simd_dot_products(true);
    }
};

std::vector<float> logits_of(const Model& model, const std::vector<std::int16_t>& iq)
{
    const QuantNetwork network(model);
    QuantNetwork::Arena arena(network);
    std::vector<float> logits(model.class_names.size());
    for (int i = 0; i < 2; ++i) { // the second time the arena has been used
        network.set_iq(arena, iq.data());
        network.run(arena, logits.data());
    }
    return logits;
}

void expect_plain_form(RandomModel& random, const Model& model, const std::string& target, unsigned seed)
{
    std::vector<std::int16_t> iq(2 * model.frame_length);
    for (auto& value : iq)
        value = static_cast<std::int16_t>(random.pick(model.nodes[0].low, model.nodes[0].high));
    const auto got = logits_of(model, iq);
    use_simd_target("generic");
    const auto expected = logits_of(model, iq);
    use_simd_target(target);
    EXPECT_EQ(got, expected) << "seed " << seed;
}

TEST_P(Qnet, EqualsThePlainForm)
{
    const std::vector<std::vector<Op>> chains = {
        {Op::conv},
        {Op::conv, Op::max_pool, Op::conv, Op::max_pool, Op::conv},
        {Op::conv, Op::conv, Op::add, Op::global_max_pool},
        {Op::avg_pool, Op::conv, Op::conv, Op::conv, Op::global_avg_pool},
        {Op::max_pool, Op::conv, Op::add, Op::avg_pool, Op::conv},
    };
    for (unsigned seed = 0; seed < 40; ++seed) {
        RandomModel random(seed);
        const auto model = random.make(chains[seed % chains.size()]);
        expect_plain_form(random, model, GetParam().target, seed);
    }
}

TEST_P(Qnet, SeparableEqualsThePlainForm)
{
    for (unsigned seed = 0; seed < 60; ++seed) {
        RandomModel random(seed);
        const auto model = random.make_separable();
        expect_plain_form(random, model, GetParam().target, seed);
    }
}

TEST_P(Qnet, ThreadsGiveTheSame)
{
    const auto model = RandomModel(7).make({Op::conv, Op::conv, Op::global_avg_pool});
    std::vector<std::complex<float>> frames(9 * model.frame_length);
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (auto& sample : frames)
        sample = {normal(random), normal(random)};
    frames[3 * model.frame_length] = {NAN, 0.0f};
    std::fill_n(frames.begin() + static_cast<std::ptrdiff_t>(5 * model.frame_length), model.frame_length,
                0.0f);
    Classifier one(model), three(model, 3);
    std::vector<float> expected(9 * one.classes()), got(expected.size());
    one.logits(frames.data(), 9, expected.data());
    for (int i = 0; i < 20; ++i) {
        three.logits(frames.data(), 9, got.data());
        EXPECT_EQ(got, expected);
    }
    for (std::size_t c = 0; c < one.classes(); ++c)
        EXPECT_EQ(expected[3 * one.classes() + c], expected[5 * one.classes() + c]); // both silence
}

TEST_P(Qnet, FeaturesAreThoseOfThePlainForm)
{
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    const float mean[2] = {0.1f, -0.2f};
    for (const std::size_t n : {128, 257, 1024, 5003}) {
        std::vector<float> x(2 * n);
        const auto places = known_features(n);
        EXPECT_EQ(places.size(), n == 1024 ? 288u : 96u);
        const auto of_places = [&](const std::vector<std::size_t>& wanted) {
            FrameFeatures all(n, wanted);
            const auto* values = all.of(x.data(), mean, 1.1f);
            std::vector<float> found;
            for (const auto place : wanted)
                found.push_back(values[place]);
            return found;
        };
        const auto features = [&] { return of_places(places); };
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = mean[i % 2] + (i / 20 % 2 ? 1.0f : -0.6f) + 0.2f * normal(random);
        const auto got = features();
        use_simd_target("generic");
        const auto expected = features();
        use_simd_target(GetParam().target);
        for (std::size_t f = 0; f < places.size(); ++f) {
            EXPECT_NEAR(got[f], expected[f], 2e-5 * std::max(1.0f, std::fabs(expected[f])))
                << feature_names()[places[f]];
            EXPECT_EQ(of_places({places[f]}), std::vector<float>{got[f]})
                << feature_names()[places[f]]; // alone
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Sets, Qnet, testing::ValuesIn(sets()), [](const auto& info) {
    return info.param.target + (info.param.dot ? "" : "_plain");
});

} // namespace
} // namespace softmod
