// SPDX-License-Identifier: GPL-3.0-or-later
// A whole file is read to the last number; a file wrong in one place is refused with one sentence.
#include "model_file.h"
#include "test_model_builder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>

namespace softmod
{
namespace
{

std::string fault_of(const std::string& file)
{
    try {
        parse_model(file, "x.safetensors");
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

void expect_fault(const std::string& file, const std::string& part)
{
    const auto fault = fault_of(file);
    EXPECT_EQ(fault.rfind("x.safetensors: ", 0), 0u) << fault;
    EXPECT_NE(fault.find(part), std::string::npos) << fault << "\n  wanted: " << part;
}

TEST(Sha256, EqualsTheStandardsExamples)
{
    const auto sha = [](const std::string& text) {
        Sha256 hash;
        hash.update(text.substr(0, text.size() / 3));
        hash.update(text.substr(text.size() / 3));
        return hash.hex();
    };
    EXPECT_EQ(sha(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha(std::string(1000000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(ModelFile, IsReadWhole)
{
    const auto builder = ModelBuilder::small();
    const auto model = parse_model(builder.file(), "x.safetensors");
    EXPECT_EQ(model.name, "made by hand");
    EXPECT_EQ(model.hash, builder.hash());
    EXPECT_EQ(model.frame_length, 16u);
    EXPECT_EQ(model.class_names.size(), 2u);
    ASSERT_EQ(model.nodes.size(), 4u);
    EXPECT_EQ(model.nodes[1].weight.front(), -9);
    EXPECT_EQ(model.nodes[1].weight.back(), 8);
    EXPECT_EQ(model.nodes[1].length, 16u);
    EXPECT_EQ(model.nodes[1].inputs, std::vector<std::size_t>{0});
    EXPECT_EQ(model.nodes[3].weight, (std::vector<std::int8_t>{-1, 1, 2, 7, -7, 0}));
    EXPECT_EQ(multiply_accumulates(model), 18u * 16 + 6);
}

TEST(ModelFile, UnpacksEveryNumberOfBits)
{
    for (unsigned bits = 2; bits <= 7; ++bits) {
        auto builder = ModelBuilder::small();
        const int most = (1 << (bits - 1)) - 1;
        std::vector<std::int8_t> values;
        for (int i = 0; i < 6; ++i)
            values.push_back(static_cast<std::int8_t>((i * 5) % (2 * most + 1) - most));
        std::string bytes((6 * bits + 7) / 8, '\0');
        for (std::size_t i = 0; i < 6 * bits; ++i)
            if (values[i / bits] >> i % bits & 1)
                bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << i % 8);
        builder.document["nodes"][3]["bits"] = bits;
        builder.tensors["logits.weight"] = {"U8", {bytes.size()}, bytes};
        EXPECT_EQ(parse_model(builder.file(), "x").nodes[3].weight, values) << bits;
    }
}

using Change = std::function<void(ModelBuilder&)>;

TEST(ModelFile, RefusesAWrongDocument)
{
    const auto changed = [](const Change& change) {
        auto builder = ModelBuilder::small();
        change(builder);
        return builder.file();
    };
    const auto set = [&](const std::string& pointer, const Json& value) {
        return changed([&](ModelBuilder& b) { b.document[Json::json_pointer(pointer)] = value; });
    };
    const auto erase = [&](const std::string& from, const std::string& key) {
        return changed([&](ModelBuilder& b) { b.document[Json::json_pointer(from)].erase(key); });
    };
    expect_fault(set("/format", 2), "format must be an integer within 1 to 1");
    expect_fault(set("/format", 1.0), "format must be an integer");
    expect_fault(set("/conventions", 2), "conventions must be");
    expect_fault(set("/kind", "demapper"), "kind must be 'classifier'");
    expect_fault(set("/kind", 3), "kind must be a string");
    expect_fault(set("/extra", 1), "unknown key 'extra'");
    expect_fault(erase("", "temperature"), "has no 'temperature'");
    expect_fault(set("/temperature", 0), "temperature must be positive");
    expect_fault(set("/temperature", "1"), "temperature must be a number");
    expect_fault(set("/hash", std::string(64, '0')), "its hash is wrong");
    expect_fault(set("/hash", "abc"), "64 lower-case");
    expect_fault(set("/class_names", {"one"}), "does not give one logit for each of 1 classes");
    expect_fault(set("/class_names", {"one", "one"}), "same name twice");
    expect_fault(set("/input/frame_length", 0), "frame_length must be");
    expect_fault(set("/input/frame_length", 65537), "frame_length must be");
    expect_fault(set("/input/normalisation", "peak"), "normalisation must be 'rms'");
    expect_fault(set("/features", {{"set", 1}, {"names", {"a"}}}), "'a', which is not in set 1");
    expect_fault(set("/features", {{"set", 1}, {"names", {"envelope_0"}}}),
                 "'envelope_0', which is not in set 1");
    expect_fault(set("/features", {{"set", 2}, {"names", {"band_2"}}}), "'band_2', which is not in set 2");
    expect_fault(set("/features", {{"set", 4}, {"names", {"mean"}}}), "within 1 to 3");
    expect_fault(set("/features", {{"set", 1}, {"names", {"mean"}}}), "features need at least 128");
    expect_fault(set("/nodes", Json::array()), "nodes must be a list of 1 to 256");
    expect_fault(set("/nodes/1/op", "lstm"), "unknown op 'lstm'");
    expect_fault(set("/nodes/1/name", "Conv"), "name of a node must be");
    expect_fault(set("/nodes/1/name", "iq"), "is there twice");
    expect_fault(set("/nodes/1/inputs", {"pool"}), "reads 'pool', which is no earlier node");
    expect_fault(set("/nodes/1/inputs", {"iq", "iq"}), "must be a list of 1 values");
    expect_fault(set("/nodes/1/extra", 1), "unknown key 'extra'");
    expect_fault(erase("/nodes/1", "stride"), "has no 'stride'");
    expect_fault(set("/nodes/1/stride", 0), "stride of node 'conv' must be");
    expect_fault(set("/nodes/1/kernel", 19), "kernel longer than its input");
    expect_fault(set("/nodes/1/kernel", 5), "tensor 'conv.weight' must be I8 [3, 2, 5]");
    expect_fault(set("/nodes/1/groups", 2), "groups that do not divide");
    expect_fault(set("/nodes/1/padding", {65536, 1}), "gives more than");
    expect_fault(set("/nodes/1/bits", 9), "bits of node 'conv' must be");
    expect_fault(set("/nodes/1/bits", 4), "tensor 'conv.weight' must be U8 [9]");
    expect_fault(set("/nodes/1/output", {0, 254}), "output range");
    expect_fault(set("/nodes/1/output", {0, 1}), "output range");
    expect_fault(set("/nodes/1/output", {-1, 3}), "output range");
    expect_fault(set("/nodes/1/padding", {-1, 1}), "padding of node 'conv' must be");
    expect_fault(set("/nodes/3/output", {0, 255}), "does not give one logit");
    expect_fault(set("/parity", {{"logits", {1.0, 2.0}}}), "no tensor 'parity.frame'");
    Json deep = 1;
    for (int i = 0; i < 20; ++i)
        deep = Json::array({deep});
    expect_fault(set("/trained_on", {{"deep", deep}}), "more than 16 levels");
}

TEST(ModelFile, RefusesWrongTensors)
{
    const auto changed = [](const Change& change) {
        auto builder = ModelBuilder::small();
        change(builder);
        return builder.file();
    };
    const float nan = std::nanf("");
    expect_fault(changed([](auto& b) { b.tensors.erase("conv.scale"); }), "no tensor 'conv.scale'");
    expect_fault(changed([](auto& b) { b.floats("more", {1.0f}); }), "tensor 'more' belongs to no node");
    expect_fault(changed([](auto& b) { b.floats("iq.scale", {1.0f, 2.0f}); }), "'iq.scale' must be F32 [1]");
    expect_fault(changed([](auto& b) { b.floats("iq.scale", {0.0f}); }), "scale that is not positive");
    expect_fault(changed([](auto& b) { b.floats("pool.scale", {-1.0f}); }), "scale that is not positive");
    expect_fault(changed([&](auto& b) { b.floats("conv.scale", {1.0f, nan, 1.0f}); }), "not finite");
    expect_fault(changed([](auto& b) { b.tensors["conv.weight"].bytes[5] = '\x80'; }), "outside -127 to 127");
    expect_fault(changed([](auto& b) { b.tensors["logits.weight"].bytes[0] = '\x08'; }), "outside -7 to 7");
    expect_fault(changed([](auto& b) {
                     b.document["nodes"][3]["bits"] = 3;
                     b.tensors["logits.weight"].bytes.back() = '\x04';
                 }),
                 "not 0 behind its last weight");
    expect_fault(changed([](auto& b) { b.floats("conv.offset", {0.0f, 2e30f, 0.0f}); }), "larger than 1e30");
    expect_fault(changed([](auto& b) { b.tensors["iq.scale"].dtype = "F64"; }), "another type");
    expect_fault(changed([](auto& b) { b.tensors["iq.scale"].shape = {2}; }), "do not match its shape");
    expect_fault(changed([](auto& b) { b.tensors["iq.scale"].shape = {}; }), "must be a list of 1 to 3");
    expect_fault(changed([](auto& b) { b.tensors["iq.scale"].shape = {1u << 24, 1u << 24}; }), "elements");
}

TEST(ModelFile, RefusesSumsThatFloat32WouldRound)
{
    auto builder = ModelBuilder::small();
    builder.document["input"]["frame_length"] = 65536;
    builder.document["nodes"].erase(2);
    builder.document["nodes"][1]["kernel"] = 4096;
    builder.document["nodes"][1]["channels"] = 1;
    builder.weights("conv.weight", {1, 2, 4096}, std::vector<std::int8_t>(8192, 127));
    builder.floats("conv.scale", {1.0f});
    builder.floats("conv.offset", {0.0f});
    expect_fault(builder.file(), "more than float32 holds exactly");
}

TEST(ModelFile, RefusesAWrongContainer)
{
    const auto whole = ModelBuilder::small().file();
    const auto [header, data] = ModelBuilder::small().parts();
    const auto spoilt = [&header = header, &data = data](const std::function<void(Json&)>& spoil) {
        Json changed = header;
        spoil(changed);
        return ModelBuilder::join(changed.dump(), data);
    };
    expect_fault("", "its size is 0 bytes");
    expect_fault(std::string(8, '\xff'), "its header of");
    expect_fault(ModelBuilder::join("{", ""), "is not JSON");
    expect_fault(ModelBuilder::join("[1]", ""), "no '__metadata__'");
    expect_fault(ModelBuilder::join("{}", ""), "no '__metadata__'");
    expect_fault(ModelBuilder::join("{\"a\":1,\"a\":2}", ""), "key 'a' twice");
    expect_fault(ModelBuilder::join(std::string(1000, '['), ""), "more than 16 levels");
    expect_fault(ModelBuilder::join("{\"\xff\":1}", ""), "is not JSON");
    expect_fault(whole + "x", "left over");
    expect_fault(whole.substr(0, whole.size() - 1), "data_offsets");
    expect_fault(spoilt([](Json& h) { h["__metadata__"]["more"] = ""; }), "unknown key 'more'");
    expect_fault(spoilt([](Json& h) {
                     h["conv.scale"]["data_offsets"] = {0, 12};
                 }),
                 "overlap or leave a gap");
    expect_fault(spoilt([](Json& h) { h["conv.scale"]["data_offsets"] = {-12, 0}; }), "data_offsets");
    expect_fault(spoilt([](Json& h) { h["conv.scale"]["data_offsets"] = {12, 0}; }), "data_offsets");
    expect_fault(spoilt([](Json& h) { h["conv.scale"] = nullptr; }), "no or too long a name");
    expect_fault(spoilt([](Json& h) { h["conv.scale"] = 1; }), "must be an object");
    const std::string document = header["__metadata__"]["gr_softmod"];
    expect_fault(spoilt([&](Json& h) { h["__metadata__"]["gr_softmod"] = Json::parse(document).dump(1); }),
                 "keys sorted and no spaces");
}

TEST(ModelFile, RefusesEveryCutAndEveryFlippedBit)
{
    const auto whole = ModelBuilder::small().file();
    for (std::size_t size = 0; size < whole.size(); size += 7)
        EXPECT_NE(fault_of(whole.substr(0, size)), "") << size;
    for (std::size_t at = 0; at < whole.size(); at += 3) {
        auto flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
        EXPECT_NE(fault_of(flipped), "") << at;
    }
}

// What the fuzzer found worth keeping (tests/fuzz): read or refused, never a crash.
TEST(ModelFile, SurvivesTheFuzzersCorpus)
{
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(SOFTMOD_VECTORS "/../fuzz/model_file")) {
        std::ifstream file(entry.path(), std::ios::binary);
        fault_of(std::string(std::istreambuf_iterator<char>(file), {}));
        ++count;
    }
    EXPECT_GT(count, 0u);
}

TEST(ModelFile, NamesAFileThatIsNotThere)
{
    try {
        read_model("/nowhere/model.safetensors");
        FAIL();
    } catch (const std::invalid_argument& error) {
        EXPECT_STREQ(error.what(), "/nowhere/model.safetensors: cannot be read");
    }
}

} // namespace
} // namespace softmod
