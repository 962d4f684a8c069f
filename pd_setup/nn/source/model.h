// What the engine asks of a model. torch_model.cpp answers with libtorch; stub_model.cpp answers without, so that the
// rest can be tested under AddressSanitizer and ThreadSanitizer.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace nn {

using Value = std::variant<double, std::string>;  // what a Pd message is made of

struct Method {
    std::string name;
    int in_channels, in_ratio, out_channels, out_ratio;
    int delay = -1;  // samples that the model itself is late; -1: the file does not say
};

struct ModelInfo {
    std::vector<Method> methods;
    std::vector<std::string> attributes;
    std::vector<double> ranges;      // standard deviation of each latent; empty: the file does not say
    std::vector<std::string> notes;  // what is wrong with the file, though it plays
    double sample_rate = 0;          // 0: the file does not say
    int largest_ratio = 1;
};

// Nothing here throws: a function that can fail returns false and says why in `error`. Only one thread at a time may
// use a model; Exclusive sees to that.
class Model {
public:
    virtual ~Model() = default;
    virtual const ModelInfo& info() const = 0;
    virtual std::unique_ptr<Model> copy(std::string& error) = 0;  // with its own memory of what it heard; may be null
    // in: [in_channels][in_frames], out: [out_channels][out_frames], both without gaps
    virtual bool run(const Method& method, const float* in, int in_frames, float* out, int out_frames, std::string& error) = 0;
    virtual bool get(const std::string& attribute, std::vector<Value>& values, std::string& error) = 0;
    virtual bool set(const std::string& attribute, const std::vector<Value>& values, std::string& error) = 0;
    virtual bool use_gpu(bool on, std::string& error) = 0;

    std::atomic_flag busy{};
};

// Null, with the reason in `error`, if there is no such file or it holds no model that can be played.
std::unique_ptr<Model> load_model(const std::string& path, std::string& error);

// Called by each thread that runs models, before it does; `ours` unless the thread is Pd's.
void prepare_thread(bool ours);

// Start the random numbers of all models anew.
void seed();

// The right to use a model. The audio callback uses `try_now` and never waits.
class Exclusive {
public:
    enum Kind { wait, try_now };
    explicit Exclusive(Model& model, Kind kind = wait) : model_(model) {
        owned_ = !model_.busy.test_and_set(std::memory_order_acquire);
        while (!owned_ && kind == wait) {
            model_.busy.wait(true, std::memory_order_relaxed);
            owned_ = !model_.busy.test_and_set(std::memory_order_acquire);
        }
    }
    ~Exclusive() {
        if (!owned_) return;
        model_.busy.clear(std::memory_order_release);
        model_.busy.notify_one();
    }
    Exclusive(const Exclusive&) = delete;
    explicit operator bool() const { return owned_; }

private:
    Model& model_;
    bool owned_;
};

}  // namespace nn
