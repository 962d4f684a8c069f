#include "state.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace nn {
namespace {

constexpr int warm_up_calls = 4;  // TorchScript compiles a model in its first calls

void append(std::string& text, const std::vector<Value>& values) {
    for (const auto& value : values) {
        text += ' ';
        text += std::holds_alternative<double>(value) ? format_number(std::get<double>(value)) : std::get<std::string>(value);
    }
}

// Run a copy on silence so that it is compiled for this block size. A failure is reported when the model plays.
void warm_up(Model& model, const Method& method, int buffer) {
    std::string error;
    std::unique_ptr<Model> copy;
    {
        Exclusive use(model);
        copy = model.copy(error);
    }
    if (!copy) return;
    const int in_frames = buffer / method.in_ratio, out_frames = buffer / method.out_ratio;
    std::vector<float> in(std::size_t(method.in_channels) * in_frames);
    std::vector<float> out(std::size_t(method.out_channels) * out_frames);
    for (int i = 0; i < warm_up_calls; ++i)
        if (!copy->run(method, in.data(), in_frames, out.data(), out_frames, error)) return;
}

}  // namespace

std::string format_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string comma_separated(const std::vector<std::string>& words) {
    std::string all;
    for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
    return all;
}

std::vector<std::string> method_names(const std::vector<Method>& methods) {
    std::vector<std::string> all;
    for (const auto& method : methods) all.push_back(method.name);
    return all;
}

const Method& Engine::State::find_method(const ModelInfo& info, const std::string& name) {
    const Method* fallback = &info.methods.front();
    for (const auto& method : info.methods) {
        if (method.name == name) return method;
        if (method.name == "forward") fallback = &method;
    }
    report(Event::error, "the model has no method '" + name + "' (it has: " + comma_separated(method_names(info.methods)) +
                             "): playing '" + fallback->name + "'");
    return *fallback;
}

// Prepare a session and offer it to the audio callback.
void Engine::State::offer(const std::shared_ptr<Model>& model, const std::string& method_name, int requested) {
    const Method& method = find_method(model->info(), method_name);
    if (session_bytes(method, buffer_size(model->info(), requested), block.load()) > max_session_bytes)
        return report(Event::error, "a buffer of " + std::to_string(requested) +
                                        " would take more than a gigabyte of memory for '" + method.name +
                                        "': use a smaller one" + (latest() ? ". The previous model keeps playing" : ""));
    auto session = std::make_shared<Session>(model, method, requested, block.load(), *this);
    if (requested > 0 && requested != session->buffer)
        report(Event::note,
               "a buffer of " + std::to_string(requested) + " is not possible: using " + std::to_string(session->buffer));
    warm_up(*model, method, session->buffer);
    std::atexit(finish_all);  // for each model: handlers run in reverse order, so this one runs before libtorch's
    if (batch) seed();  // reproducible, also for models that draw random numbers
    {
        std::lock_guard lock(mutex);
        sessions.push_back(session);
        newest = session;
    }
    if (Session* refused = offered.exchange(session.get(), std::memory_order_acq_rel)) refused->retired.store(true);
    wake_worker();
}

void Engine::State::load(const std::string& file) {
    std::string error, method;
    std::shared_ptr<Model> model = load_model(file, error);
    if (!model) return report(Event::error, error + (latest() ? " The previous model keeps playing." : ""));
    for (const auto& note : model->info().notes) report(Event::note, note);
    int buffer;
    {
        std::lock_guard lock(mutex);
        method = wanted_method;
        buffer = wanted_buffer;
        path = file;
    }
    offer(model, method, buffer);
    const auto now = latest();
    if (!now || now->model != model) return;
    report_mismatches(*now);
    report(Event::out, "model", {file});
}

// Report what does not fit: numbers of signals, and the sample rate.
void Engine::State::report_mismatches(const Session& session) {
    const Method& m = session.method;
    int has_ins, has_outs;
    {
        std::lock_guard lock(mutex);
        has_ins = ins;
        has_outs = outs;
    }
    if (m.in_channels != has_ins || m.out_channels != has_outs)
        report(Event::note, "'" + m.name + "' has " + std::to_string(m.in_channels) + " input and " +
                                std::to_string(m.out_channels) + " output signals, this object has " + std::to_string(has_ins) +
                                " and " + std::to_string(has_outs) +
                                ": signals without a counterpart are silent. Create the object again to get them all");
    const double model_rate = session.model->info().sample_rate, pd_rate = meters.sample_rate.load();
    if (model_rate > 0 && std::abs(model_rate - pd_rate) > 0.5)
        report(Event::note, "the model was trained at " + format_number(model_rate) + " Hz and Pd runs at " +
                                format_number(pd_rate) + " Hz: pitch and tempo are wrong");
}

// Free sessions that are no longer used. The worker does this, because freeing a model takes long.
void Engine::State::free_retired() {
    std::vector<std::shared_ptr<Session>> unused;  // freed after the lock is released
    std::lock_guard lock(mutex);
    for (auto i = sessions.begin(); i != sessions.end();) {
        if ((*i)->retired.load(std::memory_order_acquire) && *i != newest) {
            unused.push_back(std::move(*i));
            i = sessions.erase(i);
        } else {
            ++i;
        }
    }
}

void Engine::State::report_info() {
    const double rate = meters.sample_rate.load();
    if (const auto session = latest()) {
        const Method& m = session->method;
        const int delay = session->delay(block.load());
        report(Event::out, "latency", {double(delay), 1000 * delay / rate});
        if (m.delay >= 0) report(Event::out, "delay", {double(m.delay), 1000 * m.delay / rate});
        report(Event::out, "method",
               {m.name, double(m.in_channels), double(m.in_ratio), double(m.out_channels), double(m.out_ratio)});
        report(Event::out, "buffer", {double(session->buffer)});
        report(Event::out, "samplerate", {session->model->info().sample_rate, rate});
        const auto& ranges = session->model->info().ranges;
        if (!ranges.empty()) report(Event::out, "ranges", {ranges.begin(), ranges.end()});
    }
    report(Event::out, "load", {double(meters.load.load())});
    report(Event::out, "blocks", {double(meters.blocks.load())});
    report(Event::out, "late", {double(meters.late.load())});
}

void Engine::State::report_attribute(Model& model, const std::string& attribute) {
    std::vector<Value> values;
    std::string error;
    bool good;
    {
        Exclusive use(model);
        good = model.get(attribute, values, error);
    }
    if (!good) return report(Event::error, error);
    std::string text = attribute + ":";
    append(text, values);
    report(Event::note, text);
    report(Event::out, attribute, values);
}

}  // namespace nn
