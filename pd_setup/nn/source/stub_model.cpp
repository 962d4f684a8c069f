// A model without libtorch, described by a text file, for tests under sanitizers:
//
//   nn-stub
//   rate 48000
//   method forward 1 1 1 1      channels in, ratio in, channels out, ratio out
//   attribute gain              the output is multiplied by it; initially 1
//   does gain | throw | nan | slow        what a call does (slow: takes 2 ms)
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

#include "model.h"

namespace nn {
namespace {

class StubModel : public Model {
public:
    const ModelInfo& info() const override { return info_; }
    std::unique_ptr<Model> copy(std::string&) override {
        auto clone = std::make_unique<StubModel>();
        clone->info_ = info_;
        clone->gain = gain;
        clone->does = does;
        return clone;
    }
    bool run(const Method& method, const float* in, int in_frames, float* out, int out_frames, std::string& error) override {
        if (does == "throw") {
            error = "the stub always fails";
            return false;
        }
        if (does == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(2));
        for (int channel = 0; channel < method.out_channels; ++channel)
            for (int frame = 0; frame < out_frames; ++frame) {
                const float x =
                    in[std::size_t(channel % method.in_channels) * in_frames + std::size_t(frame) * in_frames / out_frames];
                out[std::size_t(channel) * out_frames + frame] = does == "nan" ? NAN : static_cast<float>(gain) * x;
            }
        return true;
    }
    bool get(const std::string& name, std::vector<Value>& values, std::string& error) override {
        if (!has(name, error)) return false;
        values = {gain};
        return true;
    }
    bool set(const std::string& name, const std::vector<Value>& values, std::string& error) override {
        if (!has(name, error)) return false;
        if (values.size() != 1 || !std::holds_alternative<double>(values[0])) {
            error = "'" + name + "' takes one number";
            return false;
        }
        gain = std::get<double>(values[0]);
        return true;
    }
    bool use_gpu(bool on, std::string& error) override {
        if (on) error = "the stub has no GPU";
        return !on;
    }
    bool has(const std::string& name, std::string& error) const {
        for (const auto& attribute : info_.attributes)
            if (attribute == name) return true;
        error = "the model has no attribute '" + name + "'";
        return false;
    }
    ModelInfo info_;
    double gain = 1;
    std::string does = "gain";
};

}  // namespace

std::unique_ptr<Model> load_model(const std::string& path, std::string& error) {
    std::ifstream file(path);
    std::string line, word;
    if (!file || !std::getline(file, line) || line != "nn-stub") {
        error = path + " is not a model.";
        return nullptr;
    }
    auto model = std::make_unique<StubModel>();
    while (std::getline(file, line)) {
        std::istringstream words(line);
        words >> word;
        if (word == "rate") words >> model->info_.sample_rate;
        if (word == "does") words >> model->does;
        if (word == "attribute" && words >> word) model->info_.attributes.push_back(word);
        Method m{};
        if (word == "method" && words >> m.name >> m.in_channels >> m.in_ratio >> m.out_channels >> m.out_ratio) {
            model->info_.methods.push_back(m);
            model->info_.max_ratio = std::max({model->info_.max_ratio, m.in_ratio, m.out_ratio});
        }
    }
    if (model->info_.methods.empty()) {
        error = path + " has no methods.";
        return nullptr;
    }
    return model;
}

void configure_thread(bool) {}

void seed() {}

}  // namespace nn
